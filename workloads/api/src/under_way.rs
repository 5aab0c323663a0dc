//! Calls under way of one address: whoever opens many and lets them hang has a part of the places, and everybody else has the rest.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use crate::{address::ClientAddress, shared::CALLS};

/// Calls under way of one address at a time: a quarter of all, more than an office behind one address has at any moment.
const OF_AN_ADDRESS: usize = CALLS / 4;

/// How many there are. As many addresses as there are calls, so their number is bounded as that is.
pub(crate) struct UnderWay {
    enabled: bool,
    calls: Mutex<HashMap<ClientAddress, usize>>,
}

/// One of them. Dropped when the call is over.
pub(crate) struct Place {
    among: Arc<UnderWay>,
    address: ClientAddress,
}

impl UnderWay {
    pub(crate) fn new(enabled: bool) -> Arc<Self> {
        Arc::new(Self { enabled, calls: Mutex::default() })
    }

    /// A place for one more call, unless the address has all of its own.
    pub(crate) fn begin(self: &Arc<Self>, address: ClientAddress) -> Option<Place> {
        let mut calls = self.calls.lock();
        let count = calls.entry(address).or_default();
        if self.enabled && *count >= OF_AN_ADDRESS {
            return None;
        }
        *count += 1;
        Some(Place { among: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut calls = self.among.calls.lock();
        if let Some(count) = calls.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                calls.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn one_address_leaves_places_to_others_and_gets_its_own_back() {
        let under_way = UnderWay::new(true);
        let address = |text: &str| ClientAddress(text.parse::<IpAddr>().unwrap());
        let mut places: Vec<_> =
            (0..OF_AN_ADDRESS).map(|_| under_way.begin(address("192.0.2.1")).expect("a place")).collect();
        assert!(under_way.begin(address("192.0.2.1")).is_none());
        assert!(under_way.begin(address("192.0.2.2")).is_some());
        places.pop();
        assert!(under_way.begin(address("192.0.2.1")).is_some());
        drop(places);
        assert!(under_way.calls.lock().is_empty(), "nothing is kept of who has no calls");
        let unlimited = UnderWay::new(false);
        let many: Vec<_> = (0..=OF_AN_ADDRESS).map(|_| unlimited.begin(address("192.0.2.1"))).collect();
        assert!(many.iter().all(Option::is_some));
    }
}
