//! Bytes on the wire for each byte of payload, TLS and answers included, in both directions of one half's connection.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use hexchat_lab::ChatServer;

use crate::meter::Meter;
use crate::ours::{Pair, Setup, Tls, Ways};
use crate::plan::Plan;
use crate::samples::Samples;
use crate::target;

/// On a way of this rate, in bytes a second, blocks have 4 KiB: it is slow, and yet a block takes little time.
const SLOW: f64 = 40_000.0;
/// How long such a way takes to get there.
const SLOW_WARM_UP: Duration = Duration::from_secs(12);
/// What arrives of `SLOW` without base64 and the rest.
const SLOW_PAYLOAD: f64 = 0.69 * SLOW;
/// The last acknowledgements count as well.
const REST: Duration = Duration::from_secs(1);

/// Over a server without limits where large blocks are best.
pub(crate) fn measure_fast(setup: Setup, plan: &Plan, samples: &mut Samples) {
    measure(setup, None, plan.warm_up, plan.bulk, "wire.fast", samples);
}

/// Over a server without limits, behind something slow.
pub(crate) fn measure_slow(setup: Setup, plan: &Plan, samples: &mut Samples) {
    measure(setup, Some(SLOW), SLOW_WARM_UP, plan.limited, "wire.slow", samples);
}

fn measure(
    setup: Setup,
    pace: Option<f64>,
    warm_up: Duration,
    time: Duration,
    name: &str,
    samples: &mut Samples,
) {
    match ratios(setup, pace, warm_up, time) {
        Ok(ratios) => {
            for (half, ratio) in ["forward", "serve"].into_iter().zip(ratios) {
                samples.record(format!("{name}.{half}"), Ok(ratio));
            }
        }
        Err(error) => samples.fail(format!("{name}.serve"), &format!("{error:#}")),
    }
}

/// Of the receiving half and of the sending one.
fn ratios(setup: Setup, pace: Option<f64>, warm_up: Duration, time: Duration) -> Result<[f64; 2]> {
    let meters = meters(setup.chat, pace)?;
    let by_way_of = Some(Ways { addresses: [meters[0].address, meters[1].address], tls: Tls::Start });
    let pair = Pair::start(Setup { by_way_of, ..setup })?;
    let expected = target::rate_within(pair.entrance, warm_up)?;
    thread::sleep(REST);
    let before = meters.each_ref().map(Meter::bytes);
    let expected = pace.map_or(expected, |_| SLOW_PAYLOAD);
    let length = (expected * time.as_secs_f64()) as u64;
    target::rate_of(pair.entrance, length)?;
    thread::sleep(REST);
    let mut ratios = [0.0; 2];
    for (n, meter) in meters.iter().enumerate() {
        ratios[n] = (meter.bytes() - before[n]) as f64 / length as f64;
    }
    Ok(ratios)
}

fn meters(chat: &ChatServer, pace: Option<f64>) -> Result<[Meter; 2]> {
    Ok([Meter::start(chat.address(), None)?, Meter::start(chat.address(), pace)?])
}
