//! Control frames of a stream, which are no data, and how far each has come.

use crate::secure::streams::stream::Stream;
use crate::secure::wire::frame::Frame;

/// How far a frame about a stream has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// There is nothing to tell.
    #[default]
    Not,
    /// It is to be sent, again perhaps.
    Due,
    Sent,
    Arrived,
}

/// The frames about a stream that are no data, in the order in which they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    Open,
    Accept,
    Reset,
    Stop,
    Credit,
}

impl Control {
    pub(super) const ALL: [Self; 5] = [Self::Open, Self::Accept, Self::Reset, Self::Stop, Self::Credit];
}

impl Stream {
    /// The next frame that is due and no data.
    pub(crate) fn next_control(&self) -> Option<Control> {
        Control::ALL.into_iter().find(|control| self.delivery(*control) == Delivery::Due)
    }

    pub(crate) fn control_frame(&mut self, stream: u64, control: Control) -> Option<Frame> {
        Some(match control {
            Control::Open => Frame::Open { stream, target: self.target.clone()? },
            Control::Accept => Frame::Accept { stream },
            Control::Reset => Frame::Reset { stream, reason: self.reset_reason, sent: self.send.sent() },
            Control::Stop => Frame::Stop { stream },
            Control::Credit => Frame::StreamCredit { stream, offset: self.receive.grant() },
        })
    }

    pub(crate) fn on_control_sent(&mut self, control: Control) {
        self.deliveries[control as usize] = Delivery::Sent;
    }

    /// A frame has arrived, with the credit that it gave.
    pub(crate) fn on_control_arrived(&mut self, control: Control, credit: u64) {
        match control {
            Control::Open => self.target = None,
            Control::Credit => self.receive.credit.on_acknowledged(credit),
            Control::Accept | Control::Reset | Control::Stop => {}
        }
        if self.is_newest(control, credit) {
            self.deliveries[control as usize] = Delivery::Arrived;
        }
    }

    /// A frame was lost.
    pub(crate) fn on_control_lost(&mut self, control: Control, credit: u64) {
        if self.is_newest(control, credit) {
            self.deliveries[control as usize] = Delivery::Due;
        }
    }

    /// Whether a frame that was sent still matters: it was not revoked, and no later one gave more credit.
    fn is_newest(&self, control: Control, credit: u64) -> bool {
        self.delivery(control) == Delivery::Sent
            && (control != Control::Credit || credit == self.receive.credit.granted())
    }
}
