//! Placeholder until the shell stands.

fn main() {}
