//! Amounts, as Kubernetes writes them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules;

/// An amount such as 500m, 2, 256Mi or 10Gi, as a string
/// (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("x-kubernetes-validations" = rules::QUANTITY))]
pub struct Quantity(#[schemars(length(min = 1, max = 24))] pub String);

/// Billionths of a unit: nothing smaller is counted.
const NANO: u128 = 1_000_000_000;
/// The largest amount, in billionths: the server takes larger ones for this one.
const MOST: u128 = ((1 << 63) - 1) * NANO;
/// Characters of a number that are looked at. Users write 24 (see above), and servers fewer than these.
const MOST_CHARACTERS: usize = 64;

impl Quantity {
    /// In whole units, rounded up: bytes, cores. `None` where it is none, or below zero, which the schema refuses. What is more than
    /// `i64::MAX` is that.
    #[must_use]
    pub fn units(&self) -> Option<u64> {
        let nano = u128::try_from(self.nano()?).ok()?;
        u64::try_from(nano.div_ceil(NANO)).ok()
    }

    /// In billionths of the unit, rounded away from zero, as the server reads it
    /// (<https://pkg.go.dev/k8s.io/apimachinery/pkg/api/resource#Quantity>). `None` where it is none.
    #[must_use]
    pub fn nano(&self) -> Option<i128> {
        let unsigned = self.0.strip_prefix(['+', '-']).unwrap_or(&self.0);
        let end = unsigned.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if number.len() > MOST_CHARACTERS || whole.len() + fraction.len() == 0 || fraction.contains('.') {
            return None;
        }
        let (twos, tens) = scale(suffix)?;
        let digits = format!("{whole}{fraction}");
        let digits = digits.trim_start_matches('0');
        let significant = digits.trim_end_matches('0');
        // A number of at most 64 characters moves the point by no more.
        let moved = i64::try_from(digits.len() - significant.len()).ok()? - i64::try_from(fraction.len()).ok()?;
        let nano = i128::try_from(scaled(significant, twos, tens.saturating_add(moved).saturating_add(9))?).ok()?;
        Some(if self.0.starts_with('-') { -nano } else { nano })
    }
}

/// Digits without zeros around them, times these powers of two and of ten, rounded up. `None`: a fraction of more digits than anybody
/// writes.
fn scaled(digits: &str, twos: u32, tens: i64) -> Option<u128> {
    if digits.is_empty() {
        return Some(0);
    }
    let places = i64::try_from(digits.len()).ok()?.saturating_add(tens);
    // With 30 places before the point it is above `MOST`, which has 28.
    if places > 30 {
        return Some(MOST);
    }
    let Ok(up) = u32::try_from(tens) else {
        // Half of each ten is taken from the twos, so that what can be written in 24 characters fits.
        let down = u32::try_from(tens.unsigned_abs()).unwrap_or(u32::MAX);
        let halves = twos.min(down);
        let product = digits.parse::<u128>().ok()?.checked_mul(1 << (twos - halves))?;
        let divisor = 5_u128.checked_pow(down).and_then(|fives| fives.checked_mul(1_u128.checked_shl(down - halves)?));
        // A divisor above all that can be counted leaves less than a billionth.
        return Some(divisor.map_or(1, |divisor| product.div_ceil(divisor)).min(MOST));
    };
    let product = digits.parse::<u128>().ok()?.checked_mul(10_u128.checked_pow(up)?)?;
    Some(product.checked_mul(1 << twos).map_or(MOST, |nano| nano.min(MOST)))
}

/// The powers of two and of ten that a suffix stands for. `None` for what is none.
fn scale(suffix: &str) -> Option<(u32, i64)> {
    Some(match suffix {
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "" => (0, 0),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        _ => (0, exponent(suffix.strip_prefix(['e', 'E'])?)?),
    })
}

/// One that cannot be counted is as large as it can be, either way.
fn exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let most = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    Some(text.parse().unwrap_or(most))
}

impl From<&str> for Quantity {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_as_kubernetes_means_them() {
        for (text, units) in [
            ("1", Some(1)),
            ("500m", Some(1)),
            ("2500m", Some(3)),
            ("1.5Gi", Some(1_610_612_736)),
            ("256Mi", Some(268_435_456)),
            ("10k", Some(10_000)),
            ("0.5M", Some(500_000)),
            ("5.", Some(5)),
            (".5Ki", Some(512)),
            ("+2", Some(2)),
            ("1e9", Some(1_000_000_000)),
            ("1.073741824e+09", Some(1_073_741_824)),
            ("1E3", Some(1_000)),
            ("1E", Some(1_000_000_000_000_000_000)),
            ("2Ei", Some(2_305_843_009_213_693_952)),
            ("3.45678901234567890123Ei", Some(3_985_406_389_221_996_646)),
            ("1500000000n", Some(2)),
            ("3000000u", Some(3)),
            ("1e-30", Some(1)),
            ("0e99999999999", Some(0)),
            ("10XB", None),
            ("1e", None),
            ("1e1.5", None),
            ("1 Gi", None),
            ("Gi", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(Quantity::from(text).units(), units, "{text}");
        }
    }

    /// As the server: what is larger than it can count is as much as it can.
    #[test]
    fn what_is_too_much_is_the_most() {
        for text in ["8Ei", "10E", "1e40", "1e99999999999999999999", "99999999999999999999"] {
            assert_eq!(Quantity::from(text).units(), Some(i64::MAX.unsigned_abs()), "{text}");
        }
    }

    fn read(text: &str) -> i128 {
        Quantity::from(text).nano().unwrap()
    }

    /// Each suffix, and how many billionths of the unit it stands for.
    const SUFFIXES: [(&str, i128); 15] = [
        ("n", 1),
        ("u", 1_000),
        ("m", 1_000_000),
        ("", 1_000_000_000),
        ("k", 1_000_000_000_000),
        ("e4", 10_000_000_000_000),
        ("M", 1_000_000_000_000_000),
        ("G", 1_000_000_000_000_000_000),
        ("E+10", 10_000_000_000_000_000_000),
        ("T", 1_000_000_000_000_000_000_000),
        ("Ki", 1_000_000_000 << 10),
        ("Mi", 1_000_000_000 << 20),
        ("Gi", 1_000_000_000 << 30),
        ("Ti", 1_000_000_000 << 40),
        ("Ei", 1_000_000_000 << 60),
    ];

    /// A text, and its value in billionths of a thousandth of the unit.
    fn amount() -> impl Strategy<Value = (String, i128)> {
        (0..1_000_000_i128, 0..1_000_i128, prop::sample::select(&SUFFIXES[..])).prop_map(
            |(whole, fraction, (suffix, scale))| {
                (format!("{whole}.{fraction:03}{suffix}"), (whole * 1_000 + fraction) * scale)
            },
        )
    }

    proptest! {
        #[test]
        fn more_is_never_read_as_less(one in amount(), other in amount()) {
            let (less, more) = if one.1 <= other.1 { (one, other) } else { (other, one) };
            prop_assert!(read(&less.0) <= read(&more.0), "{} {}", less.0, more.0);
        }

        #[test]
        fn the_same_in_other_words_is_the_same(number in 1..1_000_000_i128, zeros in 0..6_usize) {
            let same = [
                format!("{number}M"),
                format!("{number}000k"),
                format!("{number}e6"),
                format!("{number}{}E{}", "0".repeat(zeros), 6 - zeros),
                format!("{number}000000000m"),
                format!("0{number}000000."),
                format!("{number}00000.0e+1"),
                format!("0.00{number}e{}", 8 + number.to_string().len()),
            ];
            for text in same {
                prop_assert_eq!(read(&text), read(&format!("{number}000000")), "{}", text);
            }
            prop_assert_eq!(read(&format!("{number}Gi")), read(&format!("{}Ki", number << 20)));
            prop_assert_eq!(read(&format!("{number}.5Ki")), read(&format!("{}", number * 1024 + 512)));
        }
    }
}
