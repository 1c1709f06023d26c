//! What ovn-trace prints, read line by line.
//!
//! A pipeline begins with `ingress(dp="S", ...)` or `egress(...)`; each table with its number, the
//! stage, the match, the priority and the first digits of the flow's UUID; what follows, further in,
//! are its actions.

/// What came of a packet.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// The ports at which it is given out.
    pub(super) outputs: Vec<String>,
    /// Where it is dropped first.
    pub(super) dropped: Option<Met>,
    /// Where its addresses are translated.
    pub(super) translated: Vec<Met>,
}

/// A flow that the packet has met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Met {
    /// The switch or the router.
    pub(super) datapath: String,
    /// The stage.
    pub(super) stage: String,
    /// The first digits of the flow's UUID; none where no flow matches.
    pub(super) flow: Option<String>,
}

impl Met {
    /// What the stage is about.
    pub(super) fn kind(&self) -> &'static str {
        let has = |part: &str| self.stage.contains(part);
        if has("acl") {
            "acl"
        } else if has("lr_in_policy") {
            "policy"
        } else if has("ip_routing") {
            "no-route"
        } else if has("nat") {
            "nat"
        } else {
            "other"
        }
    }
}

/// Reads the output.
pub(super) fn read(text: &str) -> Seen {
    let mut seen = Seen::default();
    let mut datapath = String::new();
    let mut met: Vec<Met> = Vec::new();
    for line in text.lines() {
        let line = line.trim_start();
        if line.starts_with("ingress(") || line.starts_with("egress(") {
            datapath = quoted_after(line, "dp=").unwrap_or_default().to_owned();
            met.clear();
        } else if let Some((stage, rest)) = stage(line) {
            let flow = rest.rsplit_once("uuid ").map(|(_, uuid)| uuid.trim().to_owned());
            let one = Met { datapath: datapath.clone(), stage: stage.to_owned(), flow };
            met.push(one);
            if rest.contains("no match") {
                note_drop(&mut seen, &met);
            }
        } else if line.starts_with("drop;") {
            note_drop(&mut seen, &met);
        } else if let Some(output) = quoted_after(line, "/* output to ") {
            // A port between switches and routers is no end.
            let between = ["patch", "l3gateway", "chassisredirect"];
            let kind = quoted_after(line, "type ").unwrap_or_default();
            if !between.contains(&kind) {
                seen.outputs.push(output.to_owned());
            }
        } else if ["ct_snat", "ct_dnat"].iter().any(|it| translates(line, it)) {
            let last = met.last().cloned().unwrap_or_default();
            if !seen.translated.contains(&last) {
                seen.translated.push(last);
            }
        }
    }
    // Newer releases print nothing for the drop of an ACL: the packet ends at the last flow.
    if seen.outputs.is_empty() && !met.is_empty() {
        note_drop(&mut seen, &met);
    }
    seen
}

/// `ct_snat(172.16.0.2);`, also to the address that a connection has.
fn translates(line: &str, action: &str) -> bool {
    let rest = line.strip_prefix(action).map(|rest| rest.strip_prefix("_in_czone").unwrap_or(rest));
    rest.and_then(|rest| rest.strip_prefix('('))
        .is_some_and(|rest| rest.chars().next().is_some_and(|first| first.is_ascii_hexdigit()))
}

/// The first drop counts. Of ACLs, the flow that decides may stand before the one that drops.
fn note_drop(seen: &mut Seen, met: &[Met]) {
    if seen.dropped.is_some() {
        return;
    }
    let last = met.last().cloned().unwrap_or_default();
    let decides = last
        .stage
        .ends_with("acl_action")
        .then(|| met.iter().rev().skip(1).find(|it| it.stage.ends_with("acl_eval")).cloned());
    seen.dropped = decides.flatten().or(Some(last));
}

/// The stage of a line such as ` 9. lr_in_policy (northd.c:1): ip4, priority 1, uuid 12345678`.
fn stage(line: &str) -> Option<(&str, &str)> {
    let (number, rest) = line.split_once(". ")?;
    number.trim().parse::<u8>().ok()?;
    let end = rest.find([' ', ':'])?;
    let (stage, rest) = rest.split_at(end);
    (stage.starts_with("ls_") || stage.starts_with("lr_")).then_some((stage, rest))
}

fn quoted_after<'a>(line: &'a str, before: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(before)?;
    rest.strip_prefix('"')?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = r#"# tcp,reg14=0x1
ingress(dp="a-s0", inport="a1")
-------------------------------
 0. ls_in_check_port_sec (northd.c:8126): 1, priority 50, uuid 6f1f1c22
    reg0[15] = check_in_port_sec();
    next;
24. ls_in_l2_lkup (northd.c:9024): eth.dst == 0a:0b, priority 50, uuid 99ee1122
    outport = "a-s0-to-a";
    output;

egress(dp="a-s0", inport="a1", outport="a-s0-to-a")
    output;
    /* output to "a-s0-to-a", type "patch" */

ingress(dp="a", inport="a-r0")
12. lr_in_ip_routing (northd.c:10615): reg7 == 0 && ip4.dst == 10.2.0.0/24, priority 73, uuid 11112222
    next;
14. lr_in_policy (northd.c:9905): inport == "x", priority 32100, uuid abcdef01
    drop;
"#;

    #[test]
    fn the_first_drop_is_found_with_its_flow() {
        let seen = read(TRACE);
        assert_eq!(seen.outputs, [""; 0]);
        let dropped = seen.dropped.expect("a drop");
        assert_eq!((dropped.datapath.as_str(), dropped.kind()), ("a", "policy"));
        assert_eq!(dropped.flow.as_deref(), Some("abcdef01"));
    }

    #[test]
    fn what_is_given_out_to_a_guest_arrives() {
        let seen = read("egress(dp=\"b\")\n    output;\n    /* output to \"b1\", type \"\" */\n");
        assert_eq!((seen.outputs, seen.dropped), (vec!["b1".to_owned()], None));
    }

    #[test]
    fn a_stage_without_a_match_is_a_drop() {
        let seen = read(
            "ingress(dp=\"a\", inport=\"p\")\n12. lr_in_ip_routing: no match (implicit drop)\n",
        );
        let dropped = seen.dropped.expect("a drop");
        assert_eq!((dropped.kind(), dropped.flow), ("no-route", None));
    }

    #[test]
    fn a_packet_that_simply_ends_is_dropped_by_the_acl_that_decides() {
        let seen = read(concat!(
            "egress(dp=\"s\", inport=\"a\", outport=\"b\")\n",
            " 6. ls_out_acl_eval (northd.c:6968): tcp.dst == 22, priority 2000, uuid 594266e1\n",
            "    reg8[17] = 1;\n    next;\n",
            " 8. ls_out_acl_action (northd.c:7243): reg8[17] == 1, priority 1000, uuid 48c23078\n",
            "    reg8[16] = 0;\n",
        ));
        let dropped = seen.dropped.expect("a drop");
        assert_eq!((dropped.kind(), dropped.flow.as_deref()), ("acl", Some("594266e1")));
    }

    #[test]
    fn what_a_tracker_leaves_as_it_is_is_no_translation() {
        let line = |text: &str| {
            read(&format!("egress(dp=\"r\")\n 1. lr_out_snat (x): ip, uuid aa\n    {text}\n"))
        };
        assert_eq!(line("ct_snat(172.16.0.2);").translated.len(), 1);
        assert_eq!(line("ct_snat_in_czone(172.16.0.2);").translated.len(), 1);
        assert!(line("ct_snat /* assuming no un-snat entry */").translated.is_empty());
    }
}
