//! Moments in words where the operator is: a time today, a day before that.
//!
//! Screens show when something began, not for how long it has been so: an age would change while
//! nothing happens. What is told here becomes another text at midnight alone.

use jiff::Zoned;

use super::state::AppState;
use crate::model::time::Timestamp;

impl AppState {
    /// At most seven cells: `14:02` today, `19 Nov` this year, else `2024-11`.
    #[must_use]
    pub fn time(&self, at: Timestamp) -> String {
        self.format_time(at, ["%H:%M", "%-d %b", "%Y-%m"])
    }

    /// With the time of day: `14:02` today, `19 Nov 14:02` this year, else `2024-11-19 14:02`.
    #[must_use]
    pub fn day_and_time(&self, at: Timestamp) -> String {
        self.format_time(at, ["%H:%M", "%-d %b %H:%M", "%Y-%m-%d %H:%M"])
    }

    fn format_time(&self, at: Timestamp, [today, this_year, before]: [&str; 3]) -> String {
        let (Some(then), Some(now)) = (self.local_time(at), self.local_time(self.now.wall)) else {
            return "?".to_owned();
        };
        let form = match () {
            () if then.date() == now.date() => today,
            () if then.year() == now.year() => this_year,
            () => before,
        };
        then.strftime(form).to_string()
    }

    fn local_time(&self, at: Timestamp) -> Option<Zoned> {
        jiff::Timestamp::from_millisecond(at.0)
            .ok()
            .map(|at| at.to_zoned(self.look.zone.clone()))
    }
}

#[cfg(test)]
mod tests {
    use crate::app::test_support::{ConsoleHarness, NOW, SampleRunState};
    use crate::model::time::Timestamp;

    #[test]
    fn a_moment_is_a_time_today_and_a_day_before_that() {
        let mut bench = ConsoleHarness::new((80, 24), vec![], SampleRunState::Awaiting);
        bench.state.now = bench.now();
        let hours = |count: i64| Timestamp(NOW.0 - count * 3_600_000);
        let told = [0, 4, 5, 24 * 3, 24 * 400].map(|ago| {
            (
                bench.state.time(hours(ago)),
                bench.state.day_and_time(hours(ago)),
            )
        });
        let want = [
            ("04:40", "04:40"),
            ("00:40", "00:40"),
            ("20 Nov", "20 Nov 23:40"),
            ("18 Nov", "18 Nov 04:40"),
            ("2024-10", "2024-10-17 04:40"),
        ];
        assert_eq!(
            told,
            want.map(|(short, long)| (short.to_owned(), long.to_owned()))
        );
        assert_eq!(bench.state.time(Timestamp(i64::MAX)), "?");
    }
}
