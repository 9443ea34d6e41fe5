//! Moments in UTC, and the zone in which they are shown. Durations are measured by a monotonic clock where
//! they arise and stored in `_ms`.

use std::fmt;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the system keeps its zone (see `localtime(5)`).
const LOCAL_ZONE: &str = "/etc/localtime";

/// A moment: milliseconds since 1970-01-01 UTC. Written as RFC 3339 in JSON, as an integer in SQLite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(transparent)]
pub struct Timestamp(#[schemars(with = "String", extend("format" = "date-time"))] pub i64);

impl Timestamp {
    /// The current moment by the wall clock.
    #[must_use]
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_millisecond())
    }

    /// Milliseconds from `earlier` to here; 0 when the clock went back.
    #[must_use]
    pub fn since_ms(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    /// `HH:MM:SS` in the operator's time zone.
    #[must_use]
    pub fn local_clock(self) -> String {
        self.zoned().map_or_else(
            || "--:--:--".to_owned(),
            |at| at.strftime("%H:%M:%S").to_string(),
        )
    }

    fn zoned(self) -> Option<jiff::Zoned> {
        Some(
            jiff::Timestamp::from_millisecond(self.0)
                .ok()?
                .to_zoned(local_zone().clone()),
        )
    }
}

/// Whole milliseconds of a duration, as facts and rows have them.
#[must_use]
pub fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Self(at.as_millisecond()))
    }
}

/// The zone of the operator, as it was when first asked for.
#[must_use]
pub fn local_zone() -> &'static TimeZone {
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    ZONE.get_or_init(|| {
        let chosen = std::env::var_os("TZ").is_some();
        let kept = if chosen {
            None
        } else {
            zone_in(Path::new(LOCAL_ZONE))
        };
        kept.unwrap_or_else(TimeZone::system)
    })
}

/// The zone that a file holds. The library would look for its name among all the zones there are, which
/// takes as long as the rest of a start; nothing here asks for a name.
fn zone_in(file: &Path) -> Option<TimeZone> {
    TimeZone::tzif("", &std::fs::read(file).ok()?).ok()
}

/// A duration as people read it: `0.4s`, `31s`, `1m02`, `3h07`, `2d4h`.
#[must_use]
pub fn human_duration(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..10 => format!("{}.{}s", s, ms % 1000 / 100),
        10..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}", s / 60, s % 60),
        3600..86_400 => format!("{}h{:02}", s / 3600, s % 3600 / 60),
        _ => format!("{}d{}h", s / 86_400, s % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_read_from_its_file_and_from_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("localtime");
        assert_eq!(zone_in(&file), None);
        // The least file there is by RFC 8536: version 1, one kind of time, five and a half hours ahead.
        let counts = [0_u32, 0, 0, 0, 1, 4].map(u32::to_be_bytes).concat();
        let head = [b"TZif".as_slice(), &[0; 16], &counts].concat();
        std::fs::write(
            &file,
            [
                head.as_slice(),
                &19_800_i32.to_be_bytes(),
                &[0, 0],
                b"IST\0",
            ]
            .concat(),
        )
        .unwrap();
        let noon = jiff::Timestamp::from_second(12 * 3600)
            .unwrap()
            .to_zoned(zone_in(&file).unwrap());
        assert_eq!(noon.strftime("%H:%M").to_string(), "17:30");
        std::fs::write(&file, "not a zone").unwrap();
        assert_eq!(zone_in(&file), None);
    }

    #[test]
    fn a_timestamp_survives_json() {
        let at = Timestamp(1_763_700_000_123);
        let text = serde_json::to_string(&at).unwrap();
        assert_eq!(text, "\"2025-11-21T04:40:00.123Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), at);
    }

    #[test]
    fn durations_read_well() {
        for (ms, text) in [
            (420, "0.4s"),
            (31_000, "31s"),
            (62_000, "1m02"),
            (11_220_000, "3h07"),
            (187_200_000, "2d4h"),
        ] {
            assert_eq!(human_duration(ms), text);
        }
    }
}
