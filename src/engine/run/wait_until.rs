//! Waits until a wall-clock time requested by a model provider.
//!
//! The time is stored in the journal, so a later host waits only for the remainder. The wall clock
//! can jump and advances while the machine sleeps; a timer does neither. The clock is therefore
//! checked every minute, and the timer bounds the total wait.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::run_state::RunWait;
use crate::model::time::Timestamp;

/// Interval between checks of the clock.
const LOOK: Duration = Duration::from_secs(60);

/// Returns when the clock read by `now` reaches the time, or when the full duration has elapsed.
pub async fn wait_out(waiting: &RunWait, now: impl Fn() -> Timestamp) {
    let latest = Instant::now() + Duration::from_millis(waiting.wait_ms);
    loop {
        let left = Duration::from_millis(waiting.until.since_ms(now()));
        if left.is_zero() || Instant::now() >= latest {
            return;
        }
        tokio::time::sleep_until((Instant::now() + left.min(LOOK)).min(latest)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::model::error::Code;

    const HOUR: u64 = 3_600_000;

    fn waiting() -> RunWait {
        let until = Timestamp(i64::try_from(HOUR).unwrap());
        RunWait {
            phase_key: "spec".into(),
            until,
            wait_ms: HOUR,
            tries: 1,
            code: Code::LlmRateLimited,
        }
    }

    /// How long it is waited by the timer, with a clock that shows this when that much has passed.
    async fn waited(clock: impl Fn(u64) -> i64) -> u64 {
        let begun = Instant::now();
        let passed = || u64::try_from(begun.elapsed().as_millis()).unwrap();
        wait_out(&waiting(), || Timestamp(clock(passed()))).await;
        passed()
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_waited_for_what_is_left_however_the_clock_goes() {
        let minute = 60_000;
        let after = |ms: u64, jump: i64| {
            move |passed: u64| passed as i64 + if passed >= ms { jump } else { 0 }
        };
        assert_eq!(waited(|passed| passed as i64).await, HOUR);
        assert_eq!(
            waited(|passed| passed as i64 + 3_000_000).await,
            HOUR - 3_000_000,
            "a later host waits for the rest"
        );
        assert_eq!(
            waited(|_| 9 * 3_600_000).await,
            0,
            "a moment that has passed"
        );
        assert_eq!(
            waited(after(5 * minute, 86_400_000)).await,
            5 * minute,
            "the machine slept for a day"
        );
        assert_eq!(
            waited(after(5 * minute, -86_400_000)).await,
            HOUR,
            "the clock went back: never longer than was asked for"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_is_looked_at_once_a_minute() {
        let looks = AtomicI64::new(0);
        waited(|passed| {
            looks.fetch_add(1, Ordering::Relaxed);
            passed as i64
        })
        .await;
        assert_eq!(looks.into_inner(), 61);
    }
}
