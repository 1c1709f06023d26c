//! `why --trace`: runs ovn-trace with the packets of an answer, and names the first drop by what it is.
//!
//! Owns the programs of OVN that are run, and what they print. It reads the southbound only by them:
//! `ovn-sbctl` finds the port of a guest and the row behind a flow, `ovn-trace` follows the packet.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

use clap::Args;
use serde_json::Value;

use super::error::CtlError;
use super::trace_output::{Met, Seen, read};
use crate::view::{
    Opens, Passes, WhyFact, WhyFlow, WhyInOvn, WhyStep, WhyTrace, WhyTraced, WhyTracedRow, WhyView,
};

/// The port that an opening comes from, among those that hosts choose.
const CHOSEN_PORT: u16 = 40_000;
/// So many states of connections are said for one packet, which may pass as many trackers.
const TRACKERS: usize = 12;

/// Where the programs of OVN are, and its southbound.
#[derive(Clone, Debug, Args)]
pub(super) struct Tools {
    /// The southbound, for --trace.
    #[arg(
        long,
        value_name = "REMOTE",
        env = "OVN_SB_DB",
        default_value = "unix:/run/ovn/ovnsb_db.sock"
    )]
    southbound: String,
    /// The directory of ovn-trace and ovn-sbctl, for --trace; without it, PATH.
    #[arg(long, value_name = "DIRECTORY", env = "OVN_PEERD_OVN_BIN")]
    ovn_bin: Option<PathBuf>,
    /// An option for ovn-trace and ovn-sbctl, for --trace: --ca-cert=FILE, --certificate=FILE,
    /// --private-key=FILE.
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    ovn_option: Vec<String>,
}

/// Adds to an answer what ovn-trace says.
pub(super) fn trace(tools: &Tools, why: &mut WhyView) -> Result<(), CtlError> {
    let Some(in_ovn) = why.in_ovn.clone() else {
        return Err(CtlError::Trace(
            "--trace follows one packet: it needs the addresses of two guests, both behind their routers, and an operator"
                .to_owned(),
        ));
    };
    let there = follow(tools, why, &in_ovn, &in_ovn.there, false)?;
    let back = match there.arrives {
        true => Some(follow(tools, why, &in_ovn, &in_ovn.back, true)?),
        false => None,
    };
    // What OVN drops does not pass, whatever was not read.
    if !back.as_ref().is_some_and(|back| back.arrives) {
        why.passes = Passes::No;
    }
    why.trace = Some(WhyTrace { there, back });
    Ok(())
}

fn follow(
    tools: &Tools,
    why: &WhyView,
    in_ovn: &WhyInOvn,
    flow: &WhyFlow,
    is_reply: bool,
) -> Result<WhyTraced, CtlError> {
    let (port, mac) = guest(tools, flow)?;
    let packet = microflow(why.opens, flow, (&port, &mac), is_reply);
    let state = if is_reply { "--ct=est,rpl" } else { "--ct=new" };
    let arguments = std::iter::repeat_n(state, TRACKERS).chain([packet.as_str()]);
    let text = tools.run("ovn-trace", arguments)?;
    let seen = read(&text);
    let at = |met: &Met| {
        let known = in_ovn.routers.iter().find(|it| it.router == met.datapath);
        known.map_or_else(|| met.datapath.clone(), |it| it.network.clone())
    };
    let row = |met: &Met| -> Result<WhyTracedRow, CtlError> {
        let (row, text) = met.flow.as_ref().map_or(Ok((None, None)), |it| hint(tools, it))?;
        let means = row.as_ref().and_then(|row| means(why, flow, row)).map(Box::new);
        let kind = met.kind().to_owned();
        Ok(WhyTracedRow { kind, at: at(met), stage: met.stage.clone(), row, text, means })
    };
    let Seen { outputs, dropped, translated } = seen;
    let arrives = !outputs.is_empty();
    let dropped = dropped.filter(|_| !arrives);
    Ok(WhyTraced {
        arrives,
        ports: outputs,
        dropped: dropped.as_ref().map(row).transpose()?,
        translated: translated.iter().map(row).collect::<Result<_, _>>()?,
    })
}

/// What a row of the northbound is, if the answer knows it: a filter says more than its policy.
fn means(why: &WhyView, flow: &WhyFlow, prefix: &str) -> Option<WhyStep> {
    let row_of = |step: &WhyStep| {
        if let WhyFact::Policy { row, .. } | WhyFact::Route { row, .. } | WhyFact::Nat { row, .. } =
            &step.what
        {
            row.clone()
        } else {
            None
        }
    };
    let is_it = |step: &&WhyStep| row_of(step).is_some_and(|row| row.starts_with(prefix));
    let found = flow.policies.iter().chain(&why.there).chain(&why.back).find(is_it)?;
    let filter = why.stopped_by.as_ref().filter(|step| {
        matches!(step.what, WhyFact::Filter { .. }) && matches!(found.what, WhyFact::Policy { .. })
    });
    Some(filter.unwrap_or(found).clone())
}

/// The port of the guest with the source's address, and its Ethernet address.
fn guest(tools: &Tools, flow: &WhyFlow) -> Result<(String, String), CtlError> {
    for switch in &flow.switches {
        let condition = format!("external_ids:logical-switch={switch}");
        let found =
            tools.table(&["--columns=_uuid", "find", "Datapath_Binding", condition.as_str()])?;
        for datapath in found.iter().filter_map(|row| uuid(row.first()?)) {
            let condition = format!("datapath={datapath}");
            let ports = ["--columns=logical_port,mac", "find", "Port_Binding", &condition];
            for row in tools.table(&ports)? {
                let [port, macs] = &row[..] else { continue };
                if let (Some(port), Some(mac)) = (port.as_str(), with_address(macs, flow.source)) {
                    return Ok((port.to_owned(), mac));
                }
            }
        }
    }
    Err(CtlError::Trace(format!(
        "no port of the switches behind {} has the address {}: the guest's Logical_Switch_Port must have it in `addresses`",
        flow.router_port, flow.source
    )))
}

/// The Ethernet address of an entry of `mac` that has this address.
fn with_address(macs: &Value, address: IpAddr) -> Option<String> {
    let entries: Vec<&str> = if let Some(one) = macs.as_str() {
        vec![one]
    } else {
        macs.get(1)?.as_array()?.iter().filter_map(Value::as_str).collect()
    };
    let entry = entries.into_iter().find(|entry| {
        entry.split_whitespace().skip(1).any(|it| it.parse::<IpAddr>() == Ok(address))
    })?;
    entry.split_whitespace().next().map(str::to_owned)
}

fn uuid(value: &Value) -> Option<&str> {
    value.get(1)?.as_str()
}

/// The northbound row behind a flow, by the first digits of its UUID; and the flow's match.
fn hint(tools: &Tools, flow: &str) -> Result<(Option<String>, Option<String>), CtlError> {
    let arguments = ["--columns=external_ids,match", "list", "Logical_Flow", flow];
    let found = tools.table(&arguments)?;
    let Some([tags, text]) = found.first().map(Vec::as_slice) else { return Ok((None, None)) };
    let pairs = tags.get(1).and_then(Value::as_array);
    let hint = pairs.into_iter().flatten().find_map(|pair| {
        let key = pair.get(0)?.as_str()?;
        (key == "stage-hint").then(|| pair.get(1)?.as_str().map(str::to_owned))?
    });
    Ok((hint, text.as_str().map(str::to_owned)))
}

/// The packet, as ovn-trace takes it.
fn microflow(opens: Opens, flow: &WhyFlow, (port, mac): (&str, &str), is_reply: bool) -> String {
    let family = if flow.source.is_ipv4() { "ip4" } else { "ip6" };
    let ports = |name: &str, port: Option<u16>| {
        let port = port.unwrap_or(9);
        let (from, to) = if is_reply { (port, CHOSEN_PORT) } else { (CHOSEN_PORT, port) };
        format!("{name}.src == {from} && {name}.dst == {to}")
    };
    let content = match opens {
        Opens::Tcp(port) => {
            let flags = if is_reply { 18 } else { 2 };
            format!("tcp && {} && tcp.flags == {flags}", ports("tcp", port))
        }
        Opens::Udp(port) => format!("udp && {}", ports("udp", port)),
        Opens::Sctp(port) => format!("sctp && {}", ports("sctp", port)),
        Opens::Number(number) => format!("ip.proto == {number}"),
        Opens::Any | Opens::Ping => match (family, is_reply) {
            ("ip4", false) => "icmp4.type == 8 && icmp4.code == 0".to_owned(),
            ("ip4", true) => "icmp4.type == 0 && icmp4.code == 0".to_owned(),
            (_, false) => "icmp6.type == 128 && icmp6.code == 0".to_owned(),
            (_, true) => "icmp6.type == 129 && icmp6.code == 0".to_owned(),
        },
    };
    let port = Value::from(port);
    format!(
        "inport == {port} && eth.src == {mac} && eth.dst == {} && {family}.src == {} && {family}.dst == {} && ip.ttl == 64 && {content}",
        flow.router_mac, flow.source, flow.destination
    )
}

impl Tools {
    /// Runs a program of OVN, and gives what it prints.
    fn run<'a>(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<String, CtlError> {
        let program =
            self.ovn_bin.as_ref().map_or_else(|| PathBuf::from(name), |bin| bin.join(name));
        let mut command = Command::new(&program);
        command.arg(format!("--db={}", self.southbound)).args(&self.ovn_option).args(arguments);
        let output = command.output().map_err(|source| {
            CtlError::Trace(format!("cannot run {}: {source}", program.display()))
        })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim();
            return Err(CtlError::Trace(format!("{}: {said}", program.display())));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The rows that `ovn-sbctl` prints.
    fn table(&self, arguments: &[&str]) -> Result<Vec<Vec<Value>>, CtlError> {
        let all = ["--timeout=30", "--format=json"].into_iter().chain(arguments.iter().copied());
        let text = self.run("ovn-sbctl", all)?;
        let mut table: Value = serde_json::from_str(&text).map_err(|source| {
            CtlError::Trace(format!("ovn-sbctl prints what is no table: {source}"))
        })?;
        let rows = table.get_mut("data").map(Value::take).unwrap_or_default();
        serde_json::from_value(rows).map_err(|source| {
            CtlError::Trace(format!("ovn-sbctl prints what is no table: {source}"))
        })
    }
}
