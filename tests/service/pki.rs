//! Certificates by openssl, in a directory of their own.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::running::run;

/// An authority `ca`, and what it signs.
#[derive(Debug)]
pub(crate) struct Pki(TempDir);

impl Pki {
    /// With a certificate `server` for 127.0.0.1, ::1 and localhost.
    pub(crate) fn new() -> Self {
        let pki = Self(TempDir::new().unwrap());
        pki.authority("ca");
        pki.server("server");
        pki
    }

    /// `kind` is `key` or `crt`.
    pub(crate) fn file(&self, name: &str, kind: &str) -> PathBuf {
        self.0.path().join(format!("{name}.{kind}"))
    }

    fn text(&self, name: &str, kind: &str) -> String {
        self.file(name, kind).display().to_string()
    }

    fn key(&self, name: &str) {
        let key = self.text(name, "key");
        run("openssl", &["ecparam", "-genkey", "-noout", "-name", "prime256v1", "-out", &key]);
    }

    pub(crate) fn authority(&self, name: &str) {
        self.key(name);
        let (key, subject, out) =
            (self.text(name, "key"), format!("/CN={name}"), self.text(name, "crt"));
        let mut arguments = vec!["req", "-x509", "-new", "-days", "9", "-key", &key];
        arguments.extend(["-subj", &subject, "-addext", "basicConstraints=critical,CA:TRUE"]);
        arguments.extend(["-out", &out]);
        run("openssl", &arguments);
    }

    pub(crate) fn server(&self, name: &str) {
        let names = "subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost";
        self.signed(name, "ca", &format!("basicConstraints=CA:FALSE\n{names}\n"));
    }

    /// A certificate and its key, signed by an authority.
    pub(crate) fn signed(&self, name: &str, ca: &str, extensions: &str) {
        self.key(name);
        let (key, request, out) =
            (self.text(name, "key"), self.text(name, "csr"), self.text(name, "crt"));
        let (ca_crt, ca_key) = (self.text(ca, "crt"), self.text(ca, "key"));
        let (subject, extfile) = (format!("/CN={name}"), self.text(name, "ext"));
        fs::write(&extfile, extensions).unwrap();
        run("openssl", &["req", "-new", "-key", &key, "-subj", &subject, "-out", &request]);
        let mut arguments = vec!["x509", "-req", "-days", "9", "-in", &request, "-CA", &ca_crt];
        arguments.extend(["-CAkey", &ca_key, "-CAcreateserial", "-extfile", &extfile]);
        arguments.extend(["-out", &out]);
        run("openssl", &arguments);
    }
}
