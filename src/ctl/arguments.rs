//! The command line.

use std::path::PathBuf;

use clap::{ColorChoice, Parser, Subcommand};

use super::catalog::CatalogCommand;
use super::discover::DiscoverArguments;
use super::format::Format;
use super::list::ListArguments;
use super::monitor::MonitorArguments;
use super::names::{HalfArgument, OptionalHalf};
use super::store_arguments::StoreCommand;
use super::token::TokenCommand;
use super::why::WhyArguments;

/// The socket of the packaged daemon.
const DEFAULT_SOCKET: &str = "/run/ovn-peerd/control.sock";

const EXIT_CODES: &str = "\
Exit codes:
  0  done; for plan: nothing would change
  1  an error; for status, diagnostics and reload also: one in the settings or a file;
     for confirm without a word: something is held; for take-over: a link is not taken over
  2  plan: a row or the state of a half would change, or withdrawals are held;
     discover --check: what is bound differs from what is found
  3  there is no such half
  4  no daemon answers at the socket
  5  another half is in the way; or the half has changed meanwhile, or is kept in a file
  6  the half has not come to the state in time
  7  why: it does not pass, or that is not sure; verify: something is found";

/// Show and control the peerings of this host's ovn-peerd.
#[derive(Debug, Parser)]
#[command(name = "ovn-peerctl", version, after_help = EXIT_CODES)]
pub(super) struct Arguments {
    /// The daemon's control socket.
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "OVN_PEERD_SOCKET",
        default_value = DEFAULT_SOCKET
    )]
    pub(super) socket: PathBuf,
    /// How to print the answer. With json, errors are JSON on standard error, too.
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
    /// Print nothing but errors: the exit code says the rest.
    #[arg(long, short, global = true)]
    pub(super) quiet: bool,
    /// Whether to colour what failed and what is degraded. With `auto`, NO_COLOR in the environment means never.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    pub(super) color: ColorChoice,
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the halves that are declared.
    List(ListArguments),
    /// Show one half in full: its prefixes, what is in the northbound for it, its next step.
    Show {
        #[command(flatten)]
        half: HalfArgument,
        /// Show the rows in the northbound, too: matches and UUIDs.
        #[arg(long)]
        rows: bool,
    },
    #[command(flatten)]
    Store(StoreCommand),
    #[command(flatten)]
    Catalog(CatalogCommand),
    /// Show what happens: a line for each event, until you end it.
    ///
    /// With --format json each line is an object. When the daemon restarts, it goes on where it was.
    Monitor(MonitorArguments),
    /// Say whether packets pass between two networks, and what decides: half, prefix, route, list.
    ///
    /// Both ways count: what is opened, and its answer. Without addresses, it answers for the
    /// networks. It knows routers; ACLs and port security of guests are for --trace to find.
    Why(WhyArguments),
    /// Look for what should not be: rows that are missing, peerings that do not pass, packets that pass.
    ///
    /// It follows packets of every standing peering, and of pairs of networks that have not agreed.
    Verify {
        /// So many pairs of networks that have not agreed.
        #[arg(long, value_name = "PAIRS")]
        sample: Option<usize>,
        /// Read the northbound and the files oneself: it needs no daemon, and writes nothing.
        #[arg(long)]
        offline: bool,
        /// The settings that --offline reads.
        #[arg(long, value_name = "FILE", default_value = "/etc/ovn-peerd/ovn-peerd.toml")]
        config: PathBuf,
    },
    /// Find the networks of LXD, Incus, Neutron, Kube-OVN, OVN-Kubernetes and plain OVN, and print networks.d.
    ///
    /// It needs no daemon, and writes nothing. It reads the northbound, and asks LXD and Incus on this
    /// host for names. What it cannot know is marked as a guess.
    Discover(DiscoverArguments),
    /// Print what may stand at the cursor, for a shell.
    #[command(hide = true)]
    Complete {
        /// The words after the program's name, up to the cursor. The last one is completed.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// List the errors and warnings of the files: your own, or all for an operator.
    Diagnostics,
    /// Show the daemon: its northbound, its counts, the errors of its files.
    Status,
    /// Show which halves would change, and what would be written for each.
    ///
    /// Without --config, it plans for the daemon's own files as they are on disk now.
    Plan {
        /// Plan for the files that these settings name. Only `[paths]` counts; the daemon's own
        /// policy stays in effect.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Show the rows in the northbound, too: matches and UUIDs.
        #[arg(long)]
        rows: bool,
    },
    /// List the hosts with declarations, or forget a host that is gone for good.
    #[command(subcommand)]
    Host(HostCommand),
    /// Make and list the tokens of the network API.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Have peerings take the place of links that another tool made, without losing a packet.
    ///
    /// It is for halves that are foreign-link, if the peering carries all that the link carries. One
    /// transaction deletes the ports of that link and the routes over it, and inserts those of the
    /// peering. Then it prints the commands by which the tool forgets the link. Operators only.
    TakeOver {
        #[command(flatten)]
        half: OptionalHalf,
        /// Take over all links that can be taken over.
        #[arg(long)]
        all: bool,
        /// Show what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Read every declaration file again, and wait until the changes are applied.
    Reload,
    /// List held withdrawals, or release those that you have seen.
    ///
    /// Without a word, it lists them with the word that names them. With the word, it releases
    /// exactly these. If more or other withdrawals are held meanwhile, it releases nothing.
    Confirm {
        /// The word that names the withdrawals seen.
        seen: Option<String>,
        /// Only the withdrawals of this project.
        #[arg(long)]
        project: Option<String>,
    },
}

impl Command {
    /// Whether its answer is a list.
    pub(super) fn lists(&self) -> bool {
        match self {
            Self::List(_)
            | Self::Monitor(_)
            | Self::Diagnostics
            | Self::Host(HostCommand::List) => true,
            Self::Catalog(command) => command.lists(),
            Self::Token(command) => command.lists(),
            Self::Show { .. }
            | Self::Store(_)
            | Self::Why(_)
            | Self::Verify { .. }
            | Self::Discover(_)
            | Self::Complete { .. }
            | Self::Status
            | Self::Plan { .. }
            | Self::Host(HostCommand::Forget { .. })
            | Self::TakeOver { .. }
            | Self::Reload
            | Self::Confirm { .. } => false,
        }
    }
}

/// What to do about hosts.
#[derive(Debug, Subcommand)]
pub(super) enum HostCommand {
    /// List the hosts with declarations.
    List,
    /// Drop the declarations of a host. A live host declares again: remove its files.
    Forget {
        /// The host.
        name: String,
    },
}
