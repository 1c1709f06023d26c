//! Choices of chance that a printed seed repeats.

use std::time::SystemTime;

/// SplitMix64: enough for choices.
pub(crate) struct Random(u64);

impl Random {
    /// From `ENEMY_SEED`, else from the clock; prints the seed.
    pub(crate) fn seeded() -> Random {
        let given = std::env::var("ENEMY_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            since.map_or(1, |since| u64::from(since.subsec_nanos()) + since.as_secs())
        });
        println!("seed {seed}: ENEMY_SEED={seed} repeats the choices");
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("small")
    }
}
