//! Filter of measurements: those that are wanted.

/// All, or those whose names begin with one of a few words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Only(Option<Vec<String>>);

impl Only {
    /// From words with commas between them.
    pub(crate) fn these(words: &str) -> Self {
        Self(Some(words.split(',').map(str::to_owned).collect()))
    }

    /// Whether a measurement is wanted, by the name of its samples.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|words| words.iter().any(|word| name.starts_with(word)))
    }

    /// Whether this or a part of it is wanted: a name goes on behind a dot.
    pub(crate) fn wants_some_of(&self, name: &str) -> bool {
        let is_part = |word: &String| word.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        self.wants(name) || self.0.as_ref().is_some_and(|words| words.iter().any(is_part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_wanted_unless_somebody_says_what() {
        assert!(Only::default().wants("idle"));
        let only = Only::these("limited.prosody,wire.slow");
        let wanted = ["limited.prosody.8", "wire.slow", "limited.ejabberd.1", "wire.fast", "idle"];
        assert_eq!(wanted.map(|name| only.wants(name)), [true, true, false, false, false]);
    }

    #[test]
    fn some_of_a_measurement_is_wanted_where_a_part_of_it_is() {
        assert!(Only::default().wants_some_of("tor"));
        let only = Only::these("tor.obfs4,prosody-modules");
        let names = ["tor", "tor.obfs4", "tor.ejabberd", "to", "prosody", "prosody-modules"];
        assert_eq!(names.map(|name| only.wants_some_of(name)), [true, true, false, false, false, true]);
    }
}
