//! Certificates for servers on this machine, by an authority of their own.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// An authority, and the certificate of `localhost` and 127.0.0.1 by it. Gone when dropped.
#[derive(Debug)]
pub struct Certificates {
    dir: TempDir,
}

impl Certificates {
    /// Makes them anew with OpenSSL 3; `None`, loudly, where that is not installed.
    ///
    /// # Panics
    /// When they cannot be made, and where there is no OpenSSL under CI.
    #[must_use]
    pub fn make() -> Option<Self> {
        if !crate::has("openssl") {
            let skip = "SKIP: openssl is not installed; `make test-setup` does that";
            assert!(std::env::var_os("CI").is_none(), "{skip}");
            crate::say(skip);
            return None;
        }
        let dir = tempfile::tempdir().expect("a folder");
        let authority = "-subj /CN=authority -addext keyUsage=critical,keyCertSign -keyout ca.key -out ca.pem";
        let server = "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
            -addext basicConstraints=CA:FALSE -CA ca.pem -CAkey ca.key -keyout key.pem -out cert.pem";
        for which in [authority, server] {
            let request = format!("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 {which}");
            let made = Command::new("openssl").args(request.split_whitespace()).current_dir(dir.path()).output();
            let made = made.expect("openssl runs");
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        Some(Self { dir })
    }

    /// The authority's certificate, which clients are to trust.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// The server's certificate.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// The server's key.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.dir.path().join("key.pem")
    }
}
