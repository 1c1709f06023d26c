//! docs/api.md: its settings are served, and its commands run from the first to the last, as one script.

use std::process::Command;
use std::time::Duration;

use crate::blocks::{self, Kind, file_of};
use crate::lab::Lab;
use crate::lab::command::{output, poll};
use crate::lab::daemon::Daemon;
use crate::{CONFIGURATION, SETTINGS, shims};

const PAGE: &str = "docs/api.md";
/// Where the page listens.
const SHOWN: &str = "127.0.0.1:8443";

#[test]
fn the_page_of_the_network_api_leads_from_a_token_to_the_end_of_a_peering() {
    let lab = Lab::databases_only();
    let networks = [("blue", "web", "10.1.0.0/24"), ("green", "db", "10.2.0.0/24")];
    let bound = networks.map(|(project, name, subnet)| {
        let router = format!("{project}-{name}-lr");
        lab.add_network(&router, &[subnet]);
        format!("[[network]]\nproject = \"{project}\"\nname = \"{name}\"\nrouter = \"{router}\"\n")
    });
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let address = format!("127.{}.{middle}.{}:8443", 192 + high % 32, 1 + low % 250);
    let blocks = blocks::read(PAGE);
    let settings: Vec<_> = blocks.iter().filter_map(file_of).collect();
    assert!(settings.iter().all(|(path, _)| path == SETTINGS) && settings.len() == 1);
    let text = settings[0].1.replace(SHOWN, &address);
    let daemon = Daemon::prepare(&lab, "hv1", &text);
    daemon.write("networks.d/all.toml", &bound.concat());
    daemon.start_again();
    poll("the API is ready", Duration::from_secs(20), || {
        let asked = output(Command::new("curl").args(["-sf", &format!("http://{address}/readyz")]));
        if asked.status.success() { Ok(()) } else { Err(daemon.log()) }
    });
    let commands = blocks.iter().filter(|block| block.kind == Kind::Shell);
    let script: String = commands.map(|block| block.text.as_str()).collect();
    let own = format!("{}/", daemon.dir().display());
    let script = script.replace(CONFIGURATION, &own).replace(SHOWN, &address);
    let path = format!("{}:{}", shims(&daemon).display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("timeout");
    shell.args(["60", "bash", "-euo", "pipefail", "-c", &script]);
    let ran = output(shell.current_dir(lab.dir()).env("PATH", path));
    let said = [&ran.stdout[..], &ran.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(ran.status.success(), "{PAGE}: {}\n{script}\n{said}\n{}", ran.status, daemon.log());
    assert!(said.contains("\"username\":\"green\"") && said.contains("pending-peer"), "{said}");
}
