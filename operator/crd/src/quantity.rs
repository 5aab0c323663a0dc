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
        let scale: u128 = match suffix {
            "" | "m" => 1,
            "k" => 1_000,
            "M" => 1_000_000,
            "G" => 1_000_000_000,
            "T" => 1_000_000_000_000,
            "P" => 1_000_000_000_000_000,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            "Ti" => 1 << 40,
            "Pi" => 1 << 50,
            _ => return None,
        };
        // Nine digits behind the point are a billionth of the unit.
        let fraction: String = fraction.chars().chain("000000000".chars()).take(9).collect();
        let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let billionths = whole.checked_mul(1_000_000_000)?.checked_add(fraction.parse().ok()?)?.checked_mul(scale)?;
        let divisor: u128 = if suffix == "m" { 1_000_000_000_000 } else { 1_000_000_000 };
        u64::try_from(billionths.div_ceil(divisor)).ok()
    }
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
