//! message-service on the embedded twins, from its commands to its events, its rows and its projections.

#[path = "flow_message_service/appending.rs"]
mod appending;
#[path = "flow_message_service/faults.rs"]
mod faults;
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
