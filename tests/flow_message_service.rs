//! message-service on the embedded twins, from its commands to its events, its rows and its projections.

#[path = "flow_message_service/appending.rs"]
mod appending;
#[path = "flow_message_service/faults.rs"]
mod faults;
#[allow(dead_code, clippy::duplicate_mod, reason = "shared with flow_api, which uses all of it")]
#[path = "flow_api/faulty_directory.rs"]
mod faulty_directory;
#[path = "flow_message_service/follow_ups.rs"]
mod follow_ups;
#[path = "flow_message_service/gateways.rs"]
mod gateways;
#[path = "flow_message_service/half_done.rs"]
mod half_done;
#[path = "flow_message_service/lives.rs"]
mod lives;
#[path = "flow_message_service/members.rs"]
mod members;
#[path = "flow_message_service/order.rs"]
mod order;
#[path = "flow_message_service/trouble.rs"]
mod trouble;
#[path = "flow_message_service/watermarks.rs"]
mod watermarks;
#[path = "flow_message_service/world.rs"]
mod world;
