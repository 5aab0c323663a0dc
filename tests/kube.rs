//! Behaviour on a real kube-apiserver, started here. One test binary for the whole tier.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "what modules of one test binary share goes nowhere else")]

mod kube_chart;
mod kube_control_plane;
mod kube_crash;
mod kube_definition;
mod kube_kill;
mod kube_metrics;
mod kube_objects;
mod kube_operator;
mod kube_outage;
mod kube_plan;
mod kube_process;
mod kube_quiet;
mod kube_refusals;
mod kube_rights;
mod kube_rotation;
mod kube_samples;
mod kube_scaling;
mod kube_scope;
mod kube_upgrade;
