//! Bounded retry with exponential backoff for outbound delivery.
//!
//! Used for notifications and telemetry, where a retry costs nothing. Model calls have their own
//! retry rules, which account for cost.

use std::time::Duration;

/// Pause before the second attempt; doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Repeats until success, until `again` declines a failure, or until `tries` attempts have failed.
///
/// # Errors
/// The last failure.
pub(in crate::engine) async fn retry<E, T>(
    tries: u32,
    mut again: impl FnMut(&E) -> bool,
    mut attempt: impl FnMut() -> T,
) -> Result<(), E>
where
    T: Future<Output = Result<(), E>>,
{
    let mut pause = FIRST_PAUSE;
    for number in 1.. {
        match attempt().await {
            Err(failure) if again(&failure) && number < tries => tokio::time::sleep(pause).await,
            done => return done,
        }
        pause *= 2;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_success_with_what_cannot_pass_or_with_the_last_try() {
        for (answers, tried, ended, waited_ms) in [
            (&[Ok(())][..], 1, Ok(()), 0),
            (&[Err("busy"), Err("busy"), Ok(())], 3, Ok(()), 1500),
            (&[Err("busy"), Err("gone"), Ok(())], 2, Err("gone"), 500),
            (&[Err("busy"); 5], 4, Err("busy"), 3500),
        ] {
            let (began, mut number) = (tokio::time::Instant::now(), 0);
            let attempt = || {
                number += 1;
                std::future::ready(answers[number - 1])
            };
            assert_eq!(
                retry(4, |why: &&str| *why == "busy", attempt).await,
                ended,
                "{answers:?}"
            );
            assert_eq!(
                (number, began.elapsed().as_millis()),
                (tried, waited_ms),
                "{answers:?}"
            );
        }
    }
}
