//! The core's own time. It comes from outside in milliseconds and may jump; inside it never goes back.

/// Turns a clock that may be set back into one that only stands still then.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock {
    last: u64,
    /// What was lost by steps back: inside = outside + behind.
    behind: u64,
}

impl Clock {
    /// Inside time at this outside time.
    pub(crate) fn advance(&mut self, outside: u64) -> u64 {
        let inside = outside.saturating_add(self.behind);
        if inside < self.last {
            self.behind = self.behind.saturating_add(self.last - inside);
        } else {
            self.last = inside;
        }
        self.last
    }

    /// When the outside clock will show this inside time.
    pub(crate) fn outside(&self, inside: u64) -> u64 {
        inside.saturating_sub(self.behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_stands_still_and_then_goes_on() {
        let mut clock = Clock::default();
        assert_eq!(clock.advance(1_000), 1_000);
        assert_eq!(clock.advance(200), 1_000);
        assert_eq!(clock.advance(250), 1_050);
        assert_eq!(clock.outside(1_100), 300);
        assert_eq!(clock.advance(5_000), 5_800);
    }
}
