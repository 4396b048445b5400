//! Tests that are written once, and run at both chat servers.

/// Makes of each function a module with two tests, `on_prosody` and `on_ejabberd`. The function's argument is the
/// [`Kind`](crate::Kind) of server.
///
/// ```text
/// on_both_servers! {
///     fn it_comes_up(kind) {
///         ChatServer::start(kind, Rate::Stock, &[]).unwrap();
///     }
/// }
/// ```
///
/// An `async` function stands outside, where it is formatted, and is only named here; its crate depends on tokio.
///
/// ```text
/// on_both_servers! {
///     async fn it_comes_up;
/// }
/// ```
#[macro_export]
macro_rules! on_both_servers {
    ($(async fn $name:ident;)+) => {
        $(mod $name {
            #[tokio::test(flavor = "multi_thread")]
            async fn on_prosody() {
                super::$name($crate::Kind::Prosody).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_ejabberd() {
                super::$name($crate::Kind::Ejabberd).await;
            }
        })+
    };
    ($(fn $name:ident($kind:ident) $body:block)+) => {
        $(mod $name {
            use super::*;

            fn run($kind: $crate::Kind) $body

            #[test]
            fn on_prosody() {
                run($crate::Kind::Prosody);
            }

            #[test]
            fn on_ejabberd() {
                run($crate::Kind::Ejabberd);
            }
        })+
    };
}
