//! `discover`: the networks that other tools have made, as a file of `networks.d`; and `--check`, what of
//! the files that are there differs from it.

use std::path::PathBuf;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use super::error::CtlError;
use super::output::Output;
use super::text::count;
use crate::daemon::discover::{compare, discover};
use crate::discover::{Difference, Maker, written};

/// `--check`: something differs.
const DIFFERS: u8 = 2;

/// What to discover.
#[derive(Debug, Args)]
pub(super) struct DiscoverArguments {
    /// Only what this tool has made.
    #[arg(long, value_name = "TOOL", value_enum)]
    from: Option<From>,
    /// Bind by the tools' names, so that a binding follows a network that is made again.
    ///
    /// For LXD and Incus the daemon then needs their sockets.
    #[arg(long, conflicts_with = "check")]
    follow: bool,
    /// Compare the files of networks.d with what is found, instead of printing one.
    #[arg(long)]
    check: bool,
    /// The settings with the northbound's remotes, the directory of networks, and the sockets of tools.
    #[arg(
        long,
        value_name = "FILE",
        env = "OVN_PEERD_CONFIG",
        default_value = "/etc/ovn-peerd/ovn-peerd.toml"
    )]
    config: PathBuf,
}

/// A maker, by its word.
#[derive(Clone, Copy, Debug)]
struct From(Maker);

impl ValueEnum for From {
    fn value_variants<'a>() -> &'a [Self] {
        use crate::declare::Tool::{Incus, KubeOvn, Lxd, Neutron, OvnKubernetes};
        &[
            Self(Maker::Tool(Lxd)),
            Self(Maker::Tool(Incus)),
            Self(Maker::Tool(Neutron)),
            Self(Maker::Tool(KubeOvn)),
            Self(Maker::Tool(OvnKubernetes)),
            Self(Maker::Plain),
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self.0 {
            Maker::Tool(tool) => tool.title().to_owned(),
            Maker::Plain => "Routers of no tool, made by ovn-nbctl say".to_owned(),
        };
        Some(PossibleValue::new(self.0.word()).help(help))
    }
}

/// Obeys; returns the exit code.
pub(super) async fn obey(output: &Output, arguments: DiscoverArguments) -> Result<u8, CtlError> {
    let DiscoverArguments { from, follow, check, config } = arguments;
    let only = from.map(|from| from.0);
    if check {
        let differences = compare(&config, only).await?;
        output.show(&differences, |all, _| differing(all))?;
        return Ok(if differences.is_empty() { 0 } else { DIFFERS });
    }
    output.show(&discover(&config, only).await?, |found, _| written(found, follow))?;
    Ok(0)
}

fn differing(all: &[Difference]) -> String {
    if all.is_empty() {
        return "what is bound is as it was found".to_owned();
    }
    let lines = all.iter().map(|it| {
        let file = it.file.as_ref().map(|file| format!(" ({file})")).unwrap_or_default();
        format!("{}{file}: {}\n  {}\n", it.network, it.message, it.next_step)
    });
    let lines: String = lines.collect();
    format!("{lines}\n{}", count(all.len(), "difference"))
}
