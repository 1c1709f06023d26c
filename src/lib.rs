//! ovn-peerd: peers two tenants' OVN networks directly, privately and by the consent of both.

pub mod control;
pub mod ctl;
pub mod daemon;
pub mod declare;
pub mod engine;
pub mod northbound;
pub mod now;
pub mod ovsdb;
pub mod peering;
pub mod program;
pub mod view;
