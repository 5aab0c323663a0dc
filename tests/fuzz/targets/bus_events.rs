#![no_main]

#[path = "../../support/fuzz.rs"]
#[allow(dead_code)] // each binary runs one target of the shared file
mod fuzz;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::bus_events(bytes));
