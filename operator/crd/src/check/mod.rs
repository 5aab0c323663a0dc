//! Whether a manifest is one the apiserver would take, told offline in its words: types and bounds first, then the rules. Both
//! are read from the definition that the apiserver is given, so what is refused here is refused there.

mod structure;

use std::fmt;

use kube::core::cel::{Validator, apply_defaults};
use serde_json::Value;

use crate::{ChatCluster, GROUP, VERSION, definition};

/// Bytes of a manifest that are read: an apiserver takes objects of 3 MiB at most, and ours are a hundredth of that.
pub const MANIFEST_BYTES: usize = 256 * 1024;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Where: `spec.messages.shardSets[0].name`.
    pub path: String,
    /// What, and what to write instead.
    pub sentence: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            formatter.write_str(&self.sentence)
        } else {
            write!(formatter, "{}: {}", self.path, self.sentence)
        }
    }
}

fn refusal(path: impl Into<String>, sentence: impl Into<String>) -> Refusal {
    Refusal { path: path.into(), sentence: sentence.into() }
}

/// The schema, and what evaluates its rules.
#[derive(Debug)]
pub struct Checker {
    schema: Value,
    validator: Validator,
}

impl Default for Checker {
    fn default() -> Self {
        let schema = definition().pointer("/spec/versions/0/schema/openAPIV3Schema").cloned().unwrap_or_default();
        Self { schema, validator: Validator::new() }
    }
}

impl Checker {
    /// What is wrong with a resource: first its structure, and only when that is right, the rules; as an apiserver does.
    #[must_use]
    pub fn check_manifest(&self, manifest: &Value) -> Vec<Refusal> {
        self.check(manifest, None)
    }

    /// What is wrong with a change of a resource.
    #[must_use]
    pub fn check_change(&self, old: &Value, new: &Value) -> Vec<Refusal> {
        self.check(new, Some(old))
    }

    fn check(&self, manifest: &Value, old: Option<&Value>) -> Vec<Refusal> {
        let mut refusals = check_head(manifest);
        let with_defaults = self.with_defaults(manifest);
        structure::check_value(&self.schema, &with_defaults, "", &mut refusals);
        if !refusals.is_empty() {
            return refusals;
        }
        let old = old.map(|old| self.with_defaults(old));
        let Err(broken) = self.validator.validate(&self.schema, &with_defaults, old.as_ref()) else { return refusals };
        refusals.extend(broken.into_vec().into_iter().map(|error| refusal(error.field_path, error.message)));
        refusals
    }

    fn with_defaults(&self, manifest: &Value) -> Value {
        apply_defaults(&self.schema, &structure::without_nulls(manifest))
    }

    /// The resource with the defaults of the schema, as a cluster would hold it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read_manifest(&self, manifest: &Value) -> Result<ChatCluster, Vec<Refusal>> {
        let refusals = self.check_manifest(manifest);
        if !refusals.is_empty() {
            return Err(refusals);
        }
        serde_json::from_value(self.with_defaults(manifest)).map_err(|error| vec![refusal("", error.to_string())])
    }
}

/// Whether it is a resource of this kind, with a name.
fn check_head(manifest: &Value) -> Vec<Refusal> {
    let text = |field: &str| manifest.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut refusals = Vec::new();
    let group_version = format!("{GROUP}/{VERSION}");
    if text("apiVersion") != group_version {
        refusals.push(refusal("apiVersion", format!("write apiVersion: {group_version}")));
    }
    if text("kind") != "ChatCluster" {
        refusals.push(refusal("kind", "write kind: ChatCluster"));
    }
    if manifest.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().is_empty() {
        refusals.push(refusal("metadata.name", "Required value: name or generateName is required"));
    }
    refusals
}

/// Reads a manifest from YAML, and checks it.
///
/// # Errors
/// What is wrong, each thing by its place.
pub fn read_manifest(text: &str) -> Result<ChatCluster, Vec<Refusal>> {
    if text.len() > MANIFEST_BYTES {
        return Err(vec![refusal("", format!("the manifest has more than {MANIFEST_BYTES} bytes"))]);
    }
    let value: Value = serde_saphyr::from_str(text).map_err(|error| vec![refusal("", format!("no YAML: {error}"))])?;
    Checker::default().read_manifest(&value)
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
