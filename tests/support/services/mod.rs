//! Real services for the tests of the tier `service_*`: started on free loopback ports with folders of their own, ended with
//! the test process whatever becomes of it.

pub mod certificates;
pub mod process;
pub mod redis;
