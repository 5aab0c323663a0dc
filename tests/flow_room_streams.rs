//! Streams of very large rooms in process.

use std::sync::Arc;

use klatch_bus::{RoomStreams, in_process};
use prometheus::Registry;

async fn open() -> Arc<dyn RoomStreams> {
    in_process::room_streams(&Registry::new()).unwrap()
}

klatch_tests::room_stream_conformance!(open);
