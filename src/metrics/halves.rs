//! The series of each half, and how many halves have them.

use std::fmt;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::view::{HalfSample, MetricsView, PerHalf, State};

/// So many halves have series of their own.
pub const MOST_HALVES: usize = 5000;

/// The names of one may have so many bytes together: whoever chooses longer ones has the numbers of all halves alone.
pub const MOST_NAME_BYTES: usize = 200;

/// Whether a half's names are short enough for labels.
#[must_use]
pub fn fits(half: &HalfSample) -> bool {
    labels(half).iter().map(|(_, name)| name.len()).sum::<usize>() <= MOST_NAME_BYTES
}

/// Which halves have series of their own: where there are too many for all, those with troubles.
#[must_use]
pub fn selection(view: &MetricsView) -> PerHalf {
    let states = view.status.halves.iter();
    let halves: usize =
        states.filter(|(state, _)| **state != State::Deleted).map(|(_, count)| count).sum();
    if halves > MOST_HALVES { PerHalf::Troubled } else { view.per_half }
}

/// The series of these halves.
#[derive(Debug)]
pub(super) struct Halves(pub(super) Vec<HalfSample>);

impl Halves {
    /// A series with a value for each half that has one.
    fn each(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (name, help, unit): (&str, &str, Option<&Unit>),
        value: impl Fn(&HalfSample) -> Option<i64>,
    ) -> fmt::Result {
        let mut series = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (sample, value) in self.0.iter().filter_map(|it| Some((it, value(it)?))) {
            gauge(&mut series, &labels(sample), value)?;
        }
        Ok(())
    }
}

impl Collector for Halves {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        let seconds = Some(&Unit::Seconds);
        let help = "Whether the half is active.";
        self.each(encoder, ("half_active", help, None), |half| {
            Some(i64::from(half.state == State::Active))
        })?;
        let help = "1 for a half that is degraded; the others have no such series.";
        self.each(encoder, ("half_degraded", help, None), |half| half.degraded.then_some(1))?;
        let help = "1 for the state and the reason of a half that is not active.";
        let mut series = encoder.encode_descriptor("half_state", help, None, MetricType::Gauge)?;
        for half in self.0.iter().filter(|half| half.state != State::Active) {
            let [project, network, name] = labels(half);
            let reason = half.reason.map_or("", |reason| reason.as_str());
            let state = [("state", half.state.as_str()), ("reason", reason)];
            let [state, reason] = state;
            gauge(&mut series, &[project, network, name, state, reason], 1)?;
        }
        let help = "Since when the half is in its state.";
        let since = ("half_since_timestamp", help, seconds);
        self.each(encoder, since, |half| half.since.map(Timestamp::as_second))?;
        let help = "When the half's request expires, if it asks and nobody has answered.";
        let expires = ("half_expires_timestamp", help, seconds);
        self.each(encoder, expires, |half| half.expires.map(Timestamp::as_second))?;
        let help = "Prefixes that cross the link of the half, out and in.";
        let mut series =
            encoder.encode_descriptor("half_prefixes", help, None, MetricType::Gauge)?;
        for (half, (out, into)) in self.0.iter().filter_map(|it| Some((it, it.prefixes?))) {
            let [project, network, name] = labels(half);
            for (direction, count) in [("out", out), ("in", into)] {
                let labels = [project, network, name, ("direction", direction)];
                gauge(&mut series, &labels, i64::try_from(count).unwrap_or(i64::MAX))?;
            }
        }
        Ok(())
    }
}

fn labels(half: &HalfSample) -> [(&'static str, &str); 3] {
    let network = &half.half.network;
    [("project", &network.project), ("network", &network.name), ("name", &half.half.name)]
}

fn gauge<const N: usize>(
    series: &mut MetricEncoder<'_>,
    labels: &[(&'static str, &str); N],
    value: i64,
) -> fmt::Result {
    ConstGauge::new(value).encode(series.encode_family(labels)?)
}
