//! Credit: how far ahead of its reader a peer may be, on one stream or on all of a session together.
//!
//! More is granted as soon as a part of the window has been read: a quarter of a small one, a sixteenth of a large one, since a peer sends
//! what it is granted in one burst. A peer that is far away and fast uses up its credit before it
//! hears of more. That shows when the last grant that it is known to have heard of is nearly used up, and then the window becomes
//! wider, as TCP's does when it is tuned by itself. Where it hears of each grant long before it needs the next, it becomes narrower
//! again.

/// After grants of two whole windows, of which the peer knew before it needed them, half of the window is enough.
const CALM_WINDOWS: u64 = 2;

/// No less than 256 KiB is granted at a time unless that is more than a quarter of the window: an acknowledgement that takes the grant along
/// goes after each 192 KiB ([`ACK_BYTES`](crate::secure::tuning::ACK_BYTES)).
const LEAST_GRANT: u64 = 256 * 1024;

/// The window of one direction, in bytes.
#[derive(Debug)]
pub(crate) struct CreditWindow {
    /// How far ahead of the reader the peer may be.
    width: u64,
    /// The width below which it does not become narrower.
    least: u64,
    /// The offset up to which the peer may send.
    granted: u64,
    /// The highest granted offset that the peer is known to have heard of.
    acknowledged: u64,
    /// The lowest offset that is granted with this width. Until the peer has heard of it nothing says whether the width is enough.
    first_of_width: u64,
    /// The offset up to which was granted when the peer last needed more than it knew of.
    calm_from: u64,
}

impl CreditWindow {
    /// The peer knows from the handshake that it may send so much.
    pub(crate) fn new(width: u64) -> Self {
        Self {
            width,
            least: width,
            granted: width,
            acknowledged: width,
            first_of_width: width,
            calm_from: width,
        }
    }

    pub(crate) fn width(&self) -> u64 {
        self.width
    }

    /// How much wider it is than it has to be.
    pub(crate) fn extra(&self) -> u64 {
        self.width.saturating_sub(self.least)
    }

    /// The offset up to which the peer may send.
    pub(crate) fn granted(&self) -> u64 {
        self.granted
    }

    /// Whether so much was `read` that the peer should hear of it.
    pub(crate) fn is_due(&self, read: u64) -> bool {
        let left = self.granted.saturating_sub(read).min(self.width);
        self.width - left >= self.grant_size()
    }

    /// How much is granted at a time.
    fn grant_size(&self) -> u64 {
        (self.width / 16).max(LEAST_GRANT).min(self.width.div_ceil(4)).max(1)
    }

    /// Grants what there is room for when so much was `read`; the offset up to which the peer may send from now on.
    pub(crate) fn grant(&mut self, read: u64) -> u64 {
        if self.acknowledged < self.granted {
            self.calm_from = self.granted;
        } else if self.granted - self.calm_from >= CALM_WINDOWS * self.width && self.width > self.least {
            self.set_width((self.width / 2).max(self.least), read);
        }
        self.granted = self.granted.max(read + self.width);
        self.granted
    }

    /// The peer has heard that it may send up to this offset.
    pub(crate) fn on_acknowledged(&mut self, offset: u64) {
        self.acknowledged = self.acknowledged.max(offset);
    }

    /// Whether the peer, which has `sent` so much, has nearly used up all that it is known to have heard of.
    pub(crate) fn is_outgrown(&self, sent: u64) -> bool {
        self.acknowledged >= self.first_of_width && sent + self.width / 4 > self.acknowledged
    }

    /// From now on it becomes no narrower than that.
    pub(crate) fn set_least(&mut self, least: u64) {
        self.least = least;
    }

    /// The next grant, when at least so much was `read`, is made with another width.
    pub(crate) fn set_width(&mut self, width: u64, read: u64) {
        (self.width, self.calm_from) = (width, self.granted);
        self.first_of_width = self.granted.max(read + width);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_granted_when_a_quarter_of_the_window_was_read() {
        let mut window = CreditWindow::new(100);
        assert!(!window.is_due(24));
        assert!(window.is_due(25));
        assert_eq!(window.grant(25), 125);
        assert!(!window.is_due(49));
        assert!(window.is_due(50));
    }

    #[test]
    fn what_was_granted_is_never_taken_back() {
        let mut window = CreditWindow::new(100);
        window.set_width(10, 0);
        assert_eq!(window.grant(50), 100);
        assert_eq!(window.grant(95), 105);
    }

    #[test]
    fn a_peer_that_hears_of_more_in_time_has_enough() {
        let mut window = CreditWindow::new(100);
        for read in (25..1000).step_by(25) {
            let offset = window.grant(read);
            assert!(!window.is_outgrown(read), "{read}");
            window.on_acknowledged(offset);
        }
    }

    #[test]
    fn a_peer_that_uses_up_all_that_it_is_known_to_have_heard_of_needs_more() {
        let mut window = CreditWindow::new(100);
        window.grant(25);
        window.grant(50);
        assert!(!window.is_outgrown(75));
        assert!(window.is_outgrown(76));
    }

    #[test]
    fn a_wider_window_is_judged_only_when_the_peer_knows_of_it() {
        let mut window = CreditWindow::new(100);
        window.grant(80);
        window.set_width(200, 80);
        window.on_acknowledged(180);
        assert!(!window.is_outgrown(170), "it still lives on what was granted before");
        assert_eq!(window.grant(90), 290);
        window.on_acknowledged(290);
        assert!(!window.is_outgrown(240));
        assert!(window.is_outgrown(241));
    }

    #[test]
    fn a_window_that_is_wider_than_need_be_becomes_as_narrow_as_it_was() {
        let mut window = CreditWindow::new(100);
        window.set_width(400, 0);
        for read in (100..10_000).step_by(100) {
            let offset = window.grant(read);
            window.on_acknowledged(offset);
        }
        assert_eq!((window.width(), window.extra()), (100, 0));
    }

    #[test]
    fn a_window_stays_wide_while_the_peer_needs_it() {
        let mut window = CreditWindow::new(100);
        window.set_width(400, 0);
        let mut known = 100;
        for read in (100..10_000).step_by(100) {
            let offset = window.grant(read);
            window.on_acknowledged(known);
            known = offset;
        }
        assert_eq!(window.width(), 400);
    }
}
