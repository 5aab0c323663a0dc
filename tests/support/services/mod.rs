//! Real services for the tests of the tier `service_*`: started on free loopback ports with folders of their own, ended with
//! the test process whatever becomes of it.

pub mod certificates;
pub mod installation;
pub mod pgbouncer;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod rabbitmq;
pub mod redis;
pub mod redis_cluster;
pub mod tree;
