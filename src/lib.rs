//! ovn-peerd: peers two tenants' OVN networks directly, privately and by the consent of both.

pub mod control;
pub mod ctl;
pub mod declare;
pub mod now;
pub mod ovsdb;
pub mod view;
