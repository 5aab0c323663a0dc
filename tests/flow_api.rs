//! The HTTP API over its router, on the real embedded store, bus and writer.

#[path = "flow_api/faulty_directory.rs"]
mod faulty_directory;
#[path = "flow_api/world.rs"]
pub(crate) mod world;

#[path = "flow_api/bot_tokens.rs"]
mod bot_tokens;
#[path = "flow_api/documents.rs"]
mod documents;
#[path = "flow_api/friends.rs"]
mod friends;
#[path = "flow_api/input.rs"]
mod input;
#[path = "flow_api/limits.rs"]
mod limits;
#[path = "flow_api/members.rs"]
mod members;
#[path = "flow_api/messages.rs"]
mod messages;
#[path = "flow_api/outcomes.rs"]
mod outcomes;
#[path = "flow_api/owed.rs"]
mod owed;
#[path = "flow_api/recent.rs"]
mod recent;
#[path = "flow_api/refresh.rs"]
mod refresh;
#[path = "flow_api/revocation.rs"]
mod revocation;
#[path = "flow_api/rooms.rs"]
mod rooms;
#[path = "flow_api/sign_in.rs"]
mod sign_in;
#[path = "flow_api/strangers.rs"]
mod strangers;
#[path = "flow_api/sync.rs"]
mod sync;
#[path = "flow_api/trouble.rs"]
mod trouble;
#[path = "flow_api/users.rs"]
mod users;
