//! Simulation, a test: random operations on two sides over a channel that loses, repeats and reorders packets, against a reference.

mod world;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use world::{Packet, World};

const CREDIT: Credit = Credit { stream: 2000, session: 5000 };

const LIMITS: StreamLimits = StreamLimits {
    send_buffer: 3000,
    first_credit: CREDIT,
    largest_credit: Credit { stream: 6000, session: 20_000 },
    session_queue: 8000,
    max_streams: 5,
    max_fragments: 16 * 1024,
};

/// What an application or the channel does.
#[derive(Clone, Copy, Debug)]
enum Step {
    Open,
    Accept(Index),
    Refuse(Index),
    Write(bool, Index, u16),
    Read(bool, Index),
    Finish(bool, Index),
    Abort(bool, Index),
    Release(bool, Index),
    /// A packet is filled, with this much room.
    Send(bool, u16),
    Deliver(Index),
    Repeat(Index),
    Lose(Index),
}

fn any_step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    let side = any::<bool>;
    prop_oneof![
        3 => Just(Step::Open),
        3 => index().prop_map(Step::Accept),
        1 => index().prop_map(Step::Refuse),
        12 => (side(), index(), 0_u16..4000).prop_map(|(side, at, length)| Step::Write(side, at, length)),
        12 => (side(), index()).prop_map(|(side, at)| Step::Read(side, at)),
        2 => (side(), index()).prop_map(|(side, at)| Step::Finish(side, at)),
        1 => (side(), index()).prop_map(|(side, at)| Step::Abort(side, at)),
        1 => (side(), index()).prop_map(|(side, at)| Step::Release(side, at)),
        25 => (side(), 40_u16..1500).prop_map(|(side, room)| Step::Send(side, room)),
        20 => index().prop_map(Step::Deliver),
        4 => index().prop_map(Step::Repeat),
        4 => index().prop_map(Step::Lose),
    ]
}

impl World {
    fn step(&mut self, step: Step) {
        match step {
            Step::Open => self.open(),
            Step::Accept(at) => {
                if let Some(id) = self.pick(false, at) {
                    self.bridge.accept(id);
                }
            }
            Step::Refuse(at) => {
                if let Some(id) = self.pick(false, at).filter(|id| !self.bridge.streams[id].connected) {
                    self.disturb(id);
                    self.bridge.refuse(id);
                    self.held[1].retain(|held| *held != id);
                }
            }
            Step::Write(client, at, length) => self.write(client, at, length.into()),
            Step::Read(client, at) => {
                if let Some(id) = self.pick(client, at) {
                    self.read(client, id);
                }
            }
            Step::Finish(client, at) => {
                if let Some(id) = self.pick(client, at) {
                    self.side(client).finish(id);
                    self.flows.entry((id, client)).or_default().finished = true;
                }
            }
            Step::Abort(client, at) => {
                if let Some(id) = self.pick(client, at) {
                    self.disturb(id);
                    self.side(client).abort(id);
                }
            }
            Step::Release(client, at) => {
                if let Some(id) = self.pick(client, at) {
                    self.release(client, id);
                }
            }
            Step::Send(client, room) => self.send(client, room.into()),
            Step::Deliver(at) => {
                if let Some(packet) = self.take_packet(at) {
                    self.deliver(packet);
                }
            }
            Step::Repeat(at) => {
                if !self.on_the_way.is_empty() {
                    let at = at.index(self.on_the_way.len());
                    let Packet { from_client, frames, .. } = &self.on_the_way[at];
                    let copy = Packet { from_client: *from_client, frames: frames.clone(), sent: None };
                    self.deliver(copy);
                }
            }
            Step::Lose(at) => {
                if let Some(Packet { from_client, sent: Some(sent), .. }) = self.take_packet(at) {
                    self.side(from_client).on_lost(sent);
                }
            }
        }
        self.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_written_is_read_once_in_order_and_without_gaps(
        steps in proptest::collection::vec(any_step(), 1..400),
    ) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        world.end();
    }
}
