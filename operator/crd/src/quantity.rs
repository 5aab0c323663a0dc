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

impl Quantity {
    /// In whole units, rounded up: bytes, cores. `None` where it is no quantity, which the schema refuses.
    #[must_use]
    pub fn units(&self) -> Option<u64> {
        let end = self.0.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(self.0.len());
        let (number, suffix) = self.0.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let scale = suffix_thousandths(suffix)?;
        // Nine digits behind the point are a billionth of the unit.
        let fraction: String = fraction.chars().chain("000000000".chars()).take(9).collect();
        let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let billionths = whole.checked_mul(1_000_000_000)?.checked_add(fraction.parse().ok()?)?.checked_mul(scale)?;
        u64::try_from(billionths.div_ceil(1_000_000_000_000)).ok()
    }
}

/// How many thousandths of the unit a suffix stands for. `None` for what is none.
#[must_use]
pub fn suffix_thousandths(suffix: &str) -> Option<u128> {
    Some(match suffix {
        "m" => 1,
        "" => 1_000,
        "k" => 1_000_000,
        "M" => 1_000_000_000,
        "G" => 1_000_000_000_000,
        "T" => 1_000_000_000_000_000,
        "P" => 1_000_000_000_000_000_000,
        "Ki" => 1_000 << 10,
        "Mi" => 1_000 << 20,
        "Gi" => 1_000 << 30,
        "Ti" => 1_000 << 40,
        "Pi" => 1_000 << 50,
        _ => return None,
    })
}

impl From<&str> for Quantity {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
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
            ("10XB", None),
            ("", Some(0)),
        ] {
            assert_eq!(Quantity::from(text).units(), units, "{text}");
        }
    }
}
