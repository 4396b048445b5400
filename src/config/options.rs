//! torrc's `ServerTransportOptions hexchat`: the keys of `[bridge]`, without the file.

use super::BridgeSettings;
use super::error::{ConfigError, Location, Problem, shown_key};
use super::key::PresharedKey;
use super::keys::BRIDGE;
use super::similar::hint;

impl BridgeSettings {
    /// Lays options over what the file says.
    ///
    /// # Errors
    /// For a key that `[bridge]` does not have, one that is given twice, and a value that is not valid; the error
    /// names the key. Trying again cannot help.
    pub fn apply_options<'o>(
        &mut self,
        options: impl IntoIterator<Item = (&'o str, &'o str)>,
    ) -> Result<(), ConfigError> {
        let mut seen = Vec::new();
        for (key, value) in options {
            let set = if seen.contains(&key) { Err(Problem::Repeated) } else { self.apply(key, value) };
            set.map_err(|problem| ConfigError::new(Location::ServerOptions, shown_key(key), problem))?;
            seen.push(key);
        }
        Ok(())
    }

    fn apply(&mut self, key: &str, value: &str) -> Result<(), Problem> {
        match key {
            "classic" => self.classic = value.parse().map_err(|_| Problem::Invalid("true or false"))?,
            "psk" => self.psk = Some(PresharedKey::parse(value)?),
            key => return Err(Problem::UnknownKey(hint("[bridge]", key, BRIDGE))),
        }
        Ok(())
    }
}
