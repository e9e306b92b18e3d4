//! Where documents are, as it is set: a folder, or a bucket.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::client::{HttpClient, HttpConnector};
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use serde::Deserialize;

use super::DocumentStore;
use super::folder::DocumentFolder;
use super::s3::DocumentBucket;
use crate::config::ConfigError;

/// How often the storage is asked again that gave no answer, and for how long.
const RETRIES_MAX: usize = 3;
const RETRY_MAX: Duration = Duration::from_secs(15);
/// The region where none is set: what most storages that speak S3 take.
const REGION: &str = "us-east-1";

/// A text that is shown to nobody.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// The section `[documents]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DocumentsFile {
    /// `folder`, or `s3://bucket/prefix`.
    pub store: Option<String>,
    /// The address of the storage; that of AWS where there is none.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// As whom this server shows itself.
    pub access_key_id: Option<String>,
    /// By what it proves that.
    pub secret_access_key: Option<Secret>,
    /// What belongs to a key that is for some time.
    pub session_token: Option<Secret>,
}

/// A prefix of a bucket, and how one gets there.
#[derive(Debug, Clone)]
pub struct Bucket {
    name: String,
    prefix: Path,
    endpoint: Option<String>,
    region: String,
    access_key_id: String,
    secret_access_key: Secret,
    session_token: Option<Secret>,
}

/// Tells where documents are: in a bucket, or in the folder of the data.
/// `environment`: the variables that say what the file does not.
///
/// # Errors
/// When it is no such place, or one cannot get there.
pub fn bucket(
    file: &DocumentsFile,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Option<Bucket>, ConfigError> {
    let failed = |why: &str| Err(ConfigError::Documents(why.to_owned()));
    let Some(place) = file.store.as_deref().filter(|store| *store != "folder") else { return Ok(None) };
    let Some(rest) = place.strip_prefix("s3://") else {
        return failed("`store` is `folder`, or a place in a bucket such as `s3://bucket/prefix`");
    };
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = Path::parse(prefix.trim_end_matches('/'));
    let (false, Ok(prefix)) = (name.is_empty(), prefix) else {
        return failed("`store` names no place in a bucket: it is as `s3://bucket/prefix`");
    };
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
    let endpoint = file.endpoint.clone().or_else(|| variable("AWS_ENDPOINT_URL"));
    if endpoint.as_deref().is_some_and(|endpoint| !is_safe(endpoint)) {
        return failed("`endpoint` is an address with https; http is for what is on this machine");
    }
    let region = file.region.clone().or_else(|| variable("AWS_REGION"));
    let secret = |set: &Option<Secret>, name: &str| set.clone().or_else(|| variable(name).map(Secret));
    let access_key_id = file.access_key_id.clone().or_else(|| variable("AWS_ACCESS_KEY_ID"));
    let secret_access_key = secret(&file.secret_access_key, "AWS_SECRET_ACCESS_KEY");
    let (Some(access_key_id), Some(secret_access_key)) = (access_key_id, secret_access_key) else {
        return failed(
            "a bucket needs `access_key_id` and `secret_access_key`, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY \
             in the environment",
        );
    };
    Ok(Some(Bucket {
        name: name.to_owned(),
        prefix,
        endpoint,
        region: region.unwrap_or_else(|| REGION.to_owned()),
        access_key_id,
        secret_access_key,
        session_token: secret(&file.session_token, "AWS_SESSION_TOKEN"),
    }))
}

/// Tells whether what goes to an address cannot be read on the way.
fn is_safe(endpoint: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(endpoint) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

/// Asks by the client that this server asks others with.
#[derive(Debug)]
struct Connector(reqwest::Client);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

impl Bucket {
    fn objects(&self, http: reqwest::Client) -> object_store::Result<Arc<dyn ObjectStore>> {
        let retry =
            RetryConfig { max_retries: RETRIES_MAX, retry_timeout: RETRY_MAX, ..RetryConfig::default() };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&self.name)
            .with_region(&self.region)
            .with_access_key_id(&self.access_key_id)
            .with_secret_access_key(&self.secret_access_key.0)
            // Storages of one's own have one name for all buckets.
            .with_virtual_hosted_style_request(self.endpoint.is_none())
            .with_retry(retry)
            .with_http_connector(Connector(http));
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http:"));
        }
        if let Some(token) = &self.session_token {
            builder = builder.with_token(&token.0);
        }
        Ok(Arc::new(builder.build()?))
    }
}

/// Opens the place of the documents. `folder`: where they are without a bucket,
/// and arrive with one; `owner`: whose they are.
///
/// # Errors
/// When it cannot be used, or is another's.
pub fn open(
    bucket: Option<&Bucket>,
    folder: PathBuf,
    owner: String,
    http: reqwest::Client,
) -> io::Result<Arc<dyn DocumentStore>> {
    let Some(bucket) = bucket else { return Ok(Arc::new(DocumentFolder::open(folder)?)) };
    let objects = bucket.objects(http).map_err(io::Error::other)?;
    Ok(Arc::new(DocumentBucket::open(objects, bucket.prefix.clone(), owner, folder)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_folder_or_one_in_a_bucket() {
        let environment = |name: &str| match name {
            "AWS_ACCESS_KEY_ID" => Some("key".to_owned()),
            "AWS_SECRET_ACCESS_KEY" => Some("hidden".to_owned()),
            _ => None,
        };
        let of = |store: &str, endpoint: &str| {
            let endpoint = Some(endpoint.to_owned()).filter(|endpoint| !endpoint.is_empty());
            let file = DocumentsFile { store: Some(store.to_owned()), endpoint, ..DocumentsFile::default() };
            match bucket(&file, environment) {
                Ok(Some(bucket)) => format!("{} {}", bucket.name, bucket.prefix),
                Ok(None) => "folder".to_owned(),
                Err(error) => error.to_string(),
            }
        };
        for (store, endpoint, expected) in [
            ("folder", "", "folder"),
            ("s3://a", "", "a "),
            ("s3://a/b/c/", "https://s3.example", "a b/c"),
            ("s3://a/b", "http://127.0.0.1:9000", "a b"),
            ("s3://a/b", "http://[::1]:9000", "a b"),
            ("s3://a/b", "http://localhost:9000", "a b"),
            ("s3://a/b", "http://s3.example", "https"),
            ("s3://a/b", "http://127.0.0.1.example", "https"),
            ("s3://a/b", "ftp://localhost", "https"),
            ("s3://a/b//c", "", "no place"),
            ("s3:///b", "", "no place"),
            ("disk", "", "`folder`, or"),
        ] {
            let is = of(store, endpoint);
            assert!(is.contains(expected), "{store} {endpoint}: {is}");
        }
        let file = DocumentsFile { store: Some("s3://a".to_owned()), ..DocumentsFile::default() };
        let needs = bucket(&file, |_| None).expect_err("no key").to_string();
        assert!(needs.contains("access_key_id"), "{needs}");
        let made = bucket(&file, environment).expect("a place").expect("a bucket");
        assert!(!format!("{made:?}").contains("hidden"), "{made:?}");
        let file = DocumentsFile { secret_access_key: Some(Secret("hidden".to_owned())), ..file };
        assert!(!format!("{file:?}").contains("hidden"), "{file:?}");
    }
}
