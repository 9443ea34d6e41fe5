//! Money as integer nano-US-dollars, and the honest "unknown".

use std::fmt;
use std::ops::{Add, AddAssign};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An amount in nano-US-dollars (10⁻⁹ $). Never a float.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(transparent)]
pub struct NanoUsd(pub i64);

impl NanoUsd {
    /// Nano-dollars in one dollar.
    pub const PER_DOLLAR: i64 = 1_000_000_000;

    /// Reads a decimal number of dollars such as `0.0125`; digits past the ninth are rounded up.
    /// `None` when the text is not a plain, non-negative decimal or exponent number that fits.
    #[must_use]
    pub fn from_decimal(text: &str) -> Option<Self> {
        let text = text.trim();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((m, e)) => (m, e.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || digits.len() > 30 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let value: i128 = digits.parse().ok()?;
        let shift = 9 + exponent - i32::try_from(fraction.len()).ok()?;
        let nano = if shift >= 0 {
            value.checked_mul(10i128.checked_pow(u32::try_from(shift).ok()?)?)?
        } else {
            match 10i128.checked_pow(shift.unsigned_abs()) {
                Some(divisor) => {
                    value.div_euclid(divisor) + i128::from(value.rem_euclid(divisor) != 0)
                }
                None => i128::from(value != 0),
            }
        };
        i64::try_from(nano).ok().map(Self)
    }
}

impl Add for NanoUsd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for NanoUsd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl fmt::Display for NanoUsd {
    /// Cents above a dollar, four digits below, and never a cost shown as nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nano = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        match nano {
            0 => write!(f, "$0.00"),
            1..100_000 => write!(f, "{sign}<$0.0001"),
            100_000..1_000_000_000 => {
                let tenths_of_milli = (nano + 50_000) / 100_000;
                write!(
                    f,
                    "{sign}${}.{:04}",
                    tenths_of_milli / 10_000,
                    tenths_of_milli % 10_000
                )
            }
            _ => {
                let cents = (nano + 5_000_000) / 10_000_000;
                write!(f, "{sign}${}.{:02}", cents / 100, cents % 100)
            }
        }
    }
}

/// What calls cost together: the known part, and how many calls have no known price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Cost")]
pub struct CallCost {
    /// Sum over the calls with a known price.
    pub known: NanoUsd,
    /// Calls whose price nobody knows. They are not free; they are unknown.
    pub unknown_calls: u32,
}

impl CallCost {
    /// The cost of one call.
    #[must_use]
    pub fn from_call(cost: Option<NanoUsd>) -> Self {
        match cost {
            Some(known) => Self {
                known,
                unknown_calls: 0,
            },
            None => Self {
                known: NanoUsd(0),
                unknown_calls: 1,
            },
        }
    }
}

impl AddAssign for CallCost {
    fn add_assign(&mut self, other: Self) {
        self.known += other.known;
        self.unknown_calls += other.unknown_calls;
    }
}

impl fmt::Display for CallCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.known.0, self.unknown_calls) {
            (_, 0) => self.known.fmt(f),
            (0, _) => f.write_str("?"),
            _ => write!(f, "{} + ?", self.known),
        }
    }
}

/// A number with its thousands apart.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number in at most five characters, where the exact one has no room: `9,999`, `612k`, `4.2M`, `153M`.
#[must_use]
pub fn in_short(number: u64) -> String {
    let (unit, sign) = match number {
        0..10_000 => return grouped(number),
        10_000..1_000_000 => (1_000, 'k'),
        1_000_000..1_000_000_000 => (1_000_000, 'M'),
        1_000_000_000..1_000_000_000_000 => (1_000_000_000, 'G'),
        _ => (1_000_000_000_000, 'T'),
    };
    let tenths = number / (unit / 10);
    if tenths < 100 && sign != 'k' {
        format!("{}.{}{sign}", tenths / 10, tenths % 10)
    } else {
        format!("{}{sign}", number / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_in_short_never_says_more_than_there_is() {
        for (number, told) in [
            (0, "0"),
            (9_999, "9,999"),
            (10_000, "10k"),
            (999_999, "999k"),
            (1_000_000, "1.0M"),
            (4_290_000, "4.2M"),
            (153_900_000, "153M"),
            (9_999_999_999, "9.9G"),
            (12_000_000_000_000, "12T"),
        ] {
            assert_eq!(in_short(number), told);
        }
    }

    #[test]
    fn decimals_become_nano_dollars_exactly() {
        for (text, nano) in [
            ("0", 0),
            ("1", 1_000_000_000),
            ("0.000003", 3_000),
            ("3e-6", 3_000),
            ("2.5E-7", 250),
            ("0.0000000001", 1),
            ("12.34", 12_340_000_000),
        ] {
            assert_eq!(NanoUsd::from_decimal(text), Some(NanoUsd(nano)), "{text}");
        }
        for bad in ["", "-1", "NaN", "1e99", "1,5", "."] {
            assert_eq!(NanoUsd::from_decimal(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_unknown_price_is_never_shown_as_nothing() {
        assert_eq!(CallCost::from_call(None).to_string(), "?");
        let mut both = CallCost::from_call(Some(NanoUsd(410_000_000)));
        both += CallCost::from_call(None);
        assert_eq!(both.to_string(), "$0.4100 + ?");
        assert_eq!(NanoUsd(12).to_string(), "<$0.0001");
        assert_eq!(NanoUsd(1_999_999_999).to_string(), "$2.00");
    }
}
