//! A connection that sends messages and knows which of them are settled.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
};

use klatch_domain::limits::IN_FLIGHT;

use crate::bench::{
    frames::{self, Template},
    generator::Generator,
    peer::Peer,
    step::Tally,
};

/// What all senders of a scenario share.
pub(super) struct Sending {
    pub(super) generator: Rc<Generator>,
    /// Of `stored`.
    pub(super) tally: Rc<Tally>,
    /// Numbers messages across senders and steps: ids never repeat.
    pub(super) count: Cell<u64>,
    /// Each `stored` brings the next message at once.
    pub(super) closed_loop: Cell<bool>,
    /// What a server said when it refused.
    pub(super) refusal: RefCell<Option<String>>,
}

impl Sending {
    pub(super) fn new(generator: &Rc<Generator>) -> anyhow::Result<Rc<Self>> {
        Ok(Rc::new(Self {
            generator: Rc::clone(generator),
            tally: Tally::new(generator)?,
            count: Cell::new(0),
            closed_loop: Cell::new(false),
            refusal: RefCell::default(),
        }))
    }
}

/// One sender. `stored` keeps send order in a room, so due times settle first in, first out.
pub(super) struct Sender {
    shared: Rc<Sending>,
    template: RefCell<Template>,
    unsettled: RefCell<VecDeque<u64>>,
    /// Due, but beyond what may be in flight: their latency runs.
    waiting: RefCell<VecDeque<u64>>,
}

impl Sender {
    pub(super) fn new(shared: &Rc<Sending>, template: Template) -> Rc<Self> {
        Rc::new(Self {
            shared: Rc::clone(shared),
            template: RefCell::new(template),
            unsettled: RefCell::default(),
            waiting: RefCell::default(),
        })
    }

    /// Sends what was due then, as soon as the limit of unsettled messages lets it.
    pub(super) fn send(&self, peer: &Rc<Peer>, due: u64) {
        if self.unsettled.borrow().len() < IN_FLIGHT {
            self.transmit(peer, due);
        } else {
            self.waiting.borrow_mut().push_back(due);
        }
    }

    fn transmit(&self, peer: &Rc<Peer>, due: u64) {
        let number = self.shared.count.get();
        self.shared.count.set(number + 1);
        self.unsettled.borrow_mut().push_back(due);
        peer.send(&self.shared.generator, self.template.borrow_mut().fill(number, due));
    }

    /// Lines that came back on this connection.
    pub(super) fn read(&self, peer: &Rc<Peer>, piece: &[u8]) {
        for line in frames::lines(piece) {
            if frames::is(line, "stored") {
                if let Some(due) = self.settle() {
                    self.shared.tally.arrived(due, 1);
                }
            } else if frames::is(line, "refused") {
                self.settle();
                self.shared.tally.refused();
                self.shared.refusal.replace(Some(String::from_utf8_lossy(line).into_owned()));
            } else {
                continue;
            }
            let next = self.waiting.borrow_mut().pop_front();
            if let Some(due) = next {
                self.transmit(peer, due);
            } else if self.shared.closed_loop.get() {
                self.transmit(peer, self.shared.generator.now());
            }
        }
    }

    fn settle(&self) -> Option<u64> {
        self.unsettled.borrow_mut().pop_front()
    }

    /// Nothing is under way.
    pub(super) fn is_settled(&self) -> bool {
        self.unsettled.borrow().is_empty() && self.waiting.borrow().is_empty()
    }
}
