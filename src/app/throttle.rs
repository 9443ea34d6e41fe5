//! How often frequent news makes the console ask the archive: at once after a pause, else in steps.

/// The least time between two questions that calls to models cause, in milliseconds.
const STEP_MS: u64 = 250;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryThrottle {
    /// When news was last let through, in ticks.
    last: Option<u64>,
    /// Whether some was held back since.
    held: bool,
}

impl QueryThrottle {
    /// News came; whether to ask about it now. Held back, it is let through by [`due`](Self::due).
    pub fn try_acquire(&mut self, ticks: u64) -> bool {
        let free = self.last.is_none_or(|last| ticks >= last + STEP_MS);
        if free {
            self.last = Some(ticks);
        }
        self.held = !free;
        free
    }

    /// Whether what was held back is to be asked now.
    pub fn due(&mut self, ticks: u64) -> bool {
        self.held && self.try_acquire(ticks)
    }

    /// Milliseconds until [`due`](Self::due) may say so.
    #[must_use]
    pub fn wakes_in(&self, ticks: u64) -> Option<u64> {
        let last = self.last.filter(|_| self.held)?;
        Some((last + STEP_MS).saturating_sub(ticks).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_goes_through_a_flood_goes_in_steps_and_the_last_is_not_forgotten() {
        let mut pace = QueryThrottle::default();
        let through: Vec<u64> = (1000..1700)
            .filter(|ticks| pace.try_acquire(*ticks))
            .collect();
        assert_eq!(through, [1000, 1250, 1500]);
        assert_eq!(pace.wakes_in(1700), Some(50));
        assert!(!pace.due(1749) && pace.due(1750) && !pace.due(2600));
        assert_eq!(pace.wakes_in(2600), None);
    }
}
