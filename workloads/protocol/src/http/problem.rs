//! Errors: RFC 9457 `application/problem+json`.

use klatch_domain::Code;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Stable, for programs.
    pub code: Code,
    /// The same for every problem of this code.
    pub title: String,
    /// The HTTP status again.
    pub status: u16,
    /// What to do instead.
    pub detail: String,
    /// Finds the request in the logs.
    pub trace_id: String,
    /// Which fields are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldProblem>,
}

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// Its name in the body or query.
    pub field: String,
    /// What is wrong with it.
    pub detail: String,
}
