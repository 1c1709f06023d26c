//! The whole of what a scraper reads.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeMetric, prometheus_text, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::halves::Halves;
use super::recorder::Recorder;
use crate::view::{HalfSample, MetricsView, PerHalf, Reason, State};

/// What a scrape gives.
#[derive(Clone, Debug)]
pub struct Exposition {
    /// The daemon, and the numbers of all halves.
    pub view: MetricsView,
    /// The halves with series of their own, and which they are; none for a reader who may not see names.
    pub halves: Option<(PerHalf, Vec<HalfSample>)>,
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// Prometheus' own text, 0.0.4.
    Prometheus,
}

impl Format {
    /// The format that a client asks for by its `Accept`.
    #[must_use]
    pub fn accepted(accept: Option<&str>) -> Self {
        let asked = accept.is_some_and(|accept| accept.contains("application/openmetrics-text"));
        if asked { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// Its `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }
}

impl Exposition {
    /// Its text, with what the recorder has counted.
    ///
    /// # Errors
    /// None: a text in memory takes all that is written.
    pub fn render(self, recorder: &Recorder, format: Format) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("ovn_peerd");
        let version = Info::new([("version", self.view.status.version.clone())]);
        registry.register("build", "The version of the daemon", version);
        let mode = self.halves.as_ref().map_or("none", |(which, _)| match which {
            PerHalf::All => "all",
            PerHalf::Troubled => "troubled",
        });
        let help = "Which halves have series of their own: all, troubled or none";
        registry.register("per_half", help, Info::new([("mode", mode)]));
        let halves = self.halves.map(|(_, halves)| halves).unwrap_or_default();
        registry.register_collector(Box::new(Daemon { view: self.view, named: halves.len() }));
        recorder.register(&mut registry);
        if mode != "none" {
            registry.register_collector(Box::new(Halves(halves)));
        }
        let mut written = String::new();
        match format {
            Format::OpenMetrics => text::encode(&mut written, &registry)?,
            Format::Prometheus => prometheus_text::encode(&mut written, &registry)?,
        }
        Ok(written)
    }
}

/// The series of the daemon and of all halves together.
#[derive(Debug)]
struct Daemon {
    view: MetricsView,
    /// How many halves have series of their own.
    named: usize,
}

impl Collector for Daemon {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut series = Series { encoder };
        self.northbound(&mut series)?;
        self.halves(&mut series)?;
        self.files(&mut series)
    }
}

impl Daemon {
    fn northbound(&self, series: &mut Series<'_>) -> fmt::Result {
        let northbound = &self.view.status.northbound;
        let flag = |is: bool| u64::from(is);
        let help = "Whether there is a connection to the northbound.";
        series.gauge("northbound_connected", help, None, flag(northbound.remote.is_some()))?;
        let help = "Whether the northbound is connected and read in full.";
        series.gauge("northbound_synced", help, None, flag(northbound.synced))?;
        let help = "When the northbound was last heard.";
        let ago = northbound.heard_seconds_ago.and_then(|ago| i64::try_from(ago).ok());
        let heard = ago.map(|ago| ([], self.view.at.as_second().saturating_sub(ago)));
        series.gauges("northbound_last_heard_timestamp", help, Some(Unit::Seconds), heard)?;
        let help = "Whether the northbound refuses what is written.";
        series.gauge("northbound_refusing", help, None, flag(northbound.refusal.is_some()))?;
        let help = "Whether this instance holds the lock and writes.";
        series.gauge("lock_held", help, None, flag(northbound.active))?;
        let help = "How long ovn-northd has not acted on what was written; 0 if it owes nothing.";
        let lag = self.view.northd_lag.as_secs_f64();
        series.gauge("northd_lag", help, Some(Unit::Seconds), lag)?;
        let help = "When a certificate in use expires.";
        let certificates = northbound.certificates.as_ref();
        let ends = certificates
            .map(|all| [("daemon", all.expires), ("northbound", all.server_expires)])
            .into_iter()
            .flatten()
            .filter_map(|(which, at)| Some((which, at?)))
            .chain(self.view.certificates.iter().copied())
            .map(|(which, at)| ([("which", which)], at.as_second()));
        series.gauges("certificate_expires_timestamp", help, Some(Unit::Seconds), ends)?;
        let counters = &self.view.status.counters;
        for (name, help, count) in [
            ("row_updates", "Changes of rows that the northbound sent.", counters.row_changes),
            ("links_taken_over", "Links of other tools taken over.", counters.links_taken_over),
        ] {
            let encoder = &mut series.encoder;
            let counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(count).encode(counter)?;
        }
        Ok(())
    }

    fn halves(&self, series: &mut Series<'_>) -> fmt::Result {
        let view = &self.view;
        let count = |state: State| view.status.halves.get(&state).copied().unwrap_or_default();
        let states = State::ALL.map(|state| ([("state", state.as_str())], number(count(state))));
        series.gauges("halves", "Halves in each state.", None, states)?;
        let failed = Reason::ALL.into_iter().filter(|reason| reason.state() == State::Failed);
        let failed = failed.map(|reason| {
            let count = view.failed.get(&reason).copied().unwrap_or_default();
            ([("reason", reason.as_str())], number(count))
        });
        series.gauges("halves_failed", "Failed halves for each reason.", None, failed)?;
        let help = "Active halves about which something is not as it should be.";
        series.gauge("halves_degraded", help, None, number(view.degraded))?;
        let all: usize = view.status.halves.values().sum();
        let unnamed = all.saturating_sub(count(State::Deleted)).saturating_sub(self.named);
        let help = "Halves that have no series of their own.";
        series.gauge("halves_unnamed", help, None, number(unnamed))?;
        let help = "Peerings and networks that somebody else changes again and again.";
        series.gauge("contested_units", help, None, number(view.contested_units))?;
        let help = "Hosts that declare something.";
        series.gauge("hosts", help, None, number(view.hosts))?;
        series.gauge("networks", "Networks that a host binds.", None, number(view.networks))?;
        let datapaths = || Some(Unit::Other("datapaths".to_owned()));
        let help = "Datapaths on the deepest path over linked routers; 0 if no path has 50.";
        series.gauge("mesh_depth", help, datapaths(), number(view.mesh_depth))?;
        let help = "Datapaths that a path may have, by the policy.";
        series.gauge("mesh_depth_limit", help, datapaths(), u64::from(view.mesh_depth_limit))
    }

    fn files(&self, series: &mut Series<'_>) -> fmt::Result {
        let status = &self.view.status;
        let help = "Halves whose withdrawal waits for an operator.";
        series.gauge(
            "withdrawals_held",
            help,
            None,
            number(status.held.len() + status.more_held),
        )?;
        let all = status.diagnostics.len() + status.more_diagnostics;
        let warnings = all.saturating_sub(status.errors);
        let counts = [("error", status.errors), ("warning", warnings)];
        let counts = counts.map(|(severity, count)| ([("severity", severity)], number(count)));
        let help = "Problems of the settings and of the declaration files.";
        series.gauges("diagnostics", help, None, counts)
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Writes gauges.
struct Series<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Series<'_> {
    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        value: impl EncodeGaugeValue,
    ) -> fmt::Result {
        self.gauges(name, help, unit, [([], value)])
    }

    fn gauges<V: EncodeGaugeValue, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        values: impl IntoIterator<Item = ([(&'static str, &'static str); N], V)>,
    ) -> fmt::Result {
        let unit = unit.as_ref();
        let mut series = self.encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (labels, value) in values {
            ConstGauge::new(value).encode(series.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
