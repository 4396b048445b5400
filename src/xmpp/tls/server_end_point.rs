//! Hash of a server's certificate, by which both ends of a connection can name it: `tls-server-end-point` (RFC 5929 section 4). Pure.

use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};

/// Object identifiers of signatures, as DER has them, and the hash for a certificate that is signed so: the one that the signature uses,
/// but SHA-256 in place of MD5 and SHA-1 (section 4.1).
const HASHES: [(&[u8], &Algorithm); 9] = [
    // PKCS #1, 1.2.840.113549.1.1 (RFC 8017): with MD5, SHA-1, SHA-256, SHA-384, SHA-512
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04], &SHA256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05], &SHA256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b], &SHA256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c], &SHA384),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d], &SHA512),
    // ECDSA, 1.2.840.10045.4 (RFC 5758): with SHA-1, SHA-256, SHA-384, SHA-512
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01], &SHA256),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02], &SHA256),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03], &SHA384),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04], &SHA512),
];

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// The hash of a certificate; none where the RFC defines none (Ed25519, for example), or where we do not know the signature.
pub(super) fn hash(certificate: &[u8]) -> Option<Vec<u8>> {
    let identifier = signature_algorithm(certificate)?;
    let (_, algorithm) = HASHES.iter().find(|(known, _)| *known == identifier)?;
    Some(digest(algorithm, certificate).as_ref().to_vec())
}

/// A certificate is what is certified, by which algorithm it is signed, and the signature (RFC 5280 section 4.1).
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = element(SEQUENCE, certificate)?;
    let (_, behind) = element(SEQUENCE, certificate)?;
    let (algorithm, _) = element(SEQUENCE, behind)?;
    element(OBJECT_IDENTIFIER, algorithm).map(|(identifier, _)| identifier)
}

/// The content of a DER element with this tag, and what stands behind it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (length, rest) = length(rest)?;
    let content = rest.split_at_checked(length);
    content.filter(|_| *first == tag)
}

/// A length: up to 127 in one byte, otherwise in as many bytes as the first says.
fn length(der: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = der.split_first()?;
    let count = match first {
        0..=0x7f => return Some((usize::from(*first), rest)),
        0x81..=0x83 => usize::from(first & 0x7f),
        _ => return None,
    };
    let (digits, rest) = rest.split_at_checked(count)?;
    Some((digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use proptest::prelude::*;

    /// Certificates made with `openssl req -x509`, and what `openssl dgst` says of them with the hash that the RFC wants.
    const CERTIFICATES: [(&str, Option<&str>); 4] = [
        // ecdsa-with-SHA256
        (
            "MIIBaTCCAQ+gAwIBAgIUP6HAHIJVy18bxeAdEs80YkTXePgwCgYIKoZIzj0EAwIwDDEKMAgGA1UEAwwBYTAgFw0yNjExMzAwMDQ5MTVaGA8yMT \
             I2MTEwNjAwNDkxNVowDDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABIRa9/u49yMYa6q3vJ/6D5WRV8rxNqjPNEikV69E \
             /zeMoSQhlVeieDTUamVL4kUR3WMZc2KavK20dA6YwyMPQiSjTTBLMB0GA1UdDgQWBBSw/3LK2XcbV3bwNn1TGG8DCrtM9TAfBgNVHSMEGDAWgB \
             Sw/3LK2XcbV3bwNn1TGG8DCrtM9TAJBgNVHRMEAjAAMAoGCCqGSM49BAMCA0gAMEUCIBlDR/HyX1K6XEtfuDmMVTpH75p/OnTc+iSsm/ju+xgo \
             AiEAwJlCZUM8i/87d2bpEBjf6uYMvZJam2qd5wzwQRFVxWU=",
            Some("1C0W8pQmJDlK0kjZkpVlWTE160HfgEsh/8cWc5Cb2UQ="),
        ),
        // ecdsa-with-SHA384
        (
            "MIIBajCCAQ+gAwIBAgIUJbXFzLanlaI9fpH4ljaKfiF2P60wCgYIKoZIzj0EAwMwDDEKMAgGA1UEAwwBYTAgFw0yNjExMzAwMDQ5MTVaGA8yMT \
             I2MTEwNjAwNDkxNVowDDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABIq22BHQ819sLVQiqe9TtyovPlK3Y+ToN7prX1pD \
             2KVGDeUfqeQ3vhcUCTZOv4BBHy/DIoU/qKZA1f4HN63vROCjTTBLMB0GA1UdDgQWBBTfUHpgYzCzt6Z2mrn5waOT/RtSBzAfBgNVHSMEGDAWgB \
             TfUHpgYzCzt6Z2mrn5waOT/RtSBzAJBgNVHRMEAjAAMAoGCCqGSM49BAMDA0kAMEYCIQCgnZVXHciImx65kQGfIQxKM2lyRJ7Fc/ywYeKKaCRg \
             ggIhAKp7InHTrkET4cY4ZJ0Wsc+eYZvvIQINwCpTfEZm773o",
            Some("wsYsU3jGs5I1KguNHdDbj3i4nrOSqmpIGlFjCUF1x5YxPam9waTsCx2j72DfOjKC"),
        ),
        // sha1WithRSAEncryption
        (
            "MIIB8DCCAVmgAwIBAgIUVpOmeNBocurFZYu6jSfq7IlhATEwDQYJKoZIhvcNAQEFBQAwDDEKMAgGA1UEAwwBYTAgFw0yNjExMzAwMDQ5MTVaGA \
             8yMTI2MTEwNjAwNDkxNVowDDEKMAgGA1UEAwwBYTCBnzANBgkqhkiG9w0BAQEFAAOBjQAwgYkCgYEAoJovBXX3pL4ILx02OrARaBBB38YSaY6D \
             u5Qfi0phzsvFZL2fqsPUZC0e1uMpUOMEGNngCkCVQxSsRY4aRNqpuLf7qo3SXs42ew7T9Pp93m39mOA0RByhomCQCPPeGUDS/9AdnJ/fh0Jues \
             r4YPPgdbJl1NNDRKd/JIyukdXKq08CAwEAAaNNMEswHQYDVR0OBBYEFFwlASCiXLrBFy+rXGJtiqBcZB9rMB8GA1UdIwQYMBaAFFwlASCiXLrB \
             Fy+rXGJtiqBcZB9rMAkGA1UdEwQCMAAwDQYJKoZIhvcNAQEFBQADgYEAlhn+leVbiL0inK150DjJ+eIllZDKi27D2RnNk1Siilb1pISjkoWJWq \
             TmqruH+xERts3ZfJEI/64igE29DhRrO3p0IAqKvG8qTz0Z/0fKWjTEc8fM89vEQaoFnh6sFNqBlnyAiT5V9upAYNlk48IkwN37wklwdCfS+Uo7 \
             WD5tWvE=",
            Some("Q05nP2RsHGuJ0dZPj6KeLPtxKBYIsPvxLwnvzpY9eAk="),
        ),
        // Ed25519
        (
            "MIIBKDCB26ADAgECAhQtQ3C9Fa33IFeFU8iPzyOy0WpL2zAFBgMrZXAwDDEKMAgGA1UEAwwBYTAgFw0yNjExMzAwMDQ5MTZaGA8yMTI2MTEwNj \
             AwNDkxNlowDDEKMAgGA1UEAwwBYTAqMAUGAytlcAMhAK0iYxd58p5SVy/Xg0Ere/RZ9uVqr4MXG0o8nUaygsmgo00wSzAdBgNVHQ4EFgQUzNoQ \
             SmlxCnUCyFi2XEA4E1+kOUIwHwYDVR0jBBgwFoAUzNoQSmlxCnUCyFi2XEA4E1+kOUIwCQYDVR0TBAIwADAFBgMrZXADQQDgknZ12UN8UsWLD+ \
             pziUMgWpz+HYZYO459NvRv+weoKN/atfbmVhWmibNSSHdGt4gGjqqku+QRTM0iRqvv6SwA",
            None,
        ),
    ];

    fn decoded(certificate: &str) -> Vec<u8> {
        BASE64.decode(certificate.replace([' ', '\n'], "")).unwrap()
    }

    #[test]
    fn the_hash_is_that_of_the_signature_or_sha_256_and_there_may_be_none() {
        for (certificate, expected) in CERTIFICATES {
            let hash = hash(&decoded(certificate)).map(|hash| BASE64.encode(hash));
            assert_eq!(hash.as_deref(), expected);
        }
    }

    #[test]
    fn a_certificate_that_is_cut_off_has_none() {
        let whole = decoded(CERTIFICATES[0].0);
        for length in 0..whole.len() {
            assert_eq!(hash(&whole[..length]), None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            hash(&bytes);
        }
    }
}
