//! Commands that change keys of a stored half: it is read, changed, and stored unless it has changed
//! meanwhile; then again.

use jiff::Timestamp;
use toml::Value;

use super::change_error::ChangeError;
use super::client::ControlClient;
use super::document::{Document, json};
use super::error::CtlError;
use super::names::HalfName;
use super::output::Output;
use super::send::{report, store};
use super::store_arguments::{
    ChangeOptions, GetArguments, HalfChange, RenameArguments, SetArguments, Setting, UnsetArguments,
};
use crate::control::StoreRequest;
use crate::view::HalfDetail;

/// How often a change is tried, if somebody else changes the half meanwhile.
const ATTEMPTS: u32 = 5;

pub(super) async fn enable(
    client: &ControlClient,
    output: &Output,
    arguments: HalfChange,
) -> Result<(), CtlError> {
    let half = arguments.half.resolve(client).await?;
    let enabled = |document: &mut Document| drop(document.unset("configured_status"));
    change(client, output, &half, &arguments.options, enabled).await
}

pub(super) async fn disable(
    client: &ControlClient,
    output: &Output,
    arguments: HalfChange,
) -> Result<(), CtlError> {
    let half = arguments.half.resolve(client).await?;
    let disabled = |document: &mut Document| document.set("configured_status", "disabled".into());
    change(client, output, &half, &arguments.options, disabled).await
}

pub(super) async fn renew(
    client: &ControlClient,
    output: &Output,
    arguments: HalfChange,
) -> Result<(), CtlError> {
    let half = arguments.half.resolve(client).await?;
    let now = format!("{:.3}", Timestamp::now()).parse().map(Value::Datetime);
    let renewed = |document: &mut Document| {
        if let Ok(now) = &now {
            document.set("requested", now.clone());
        }
    };
    change(client, output, &half, &arguments.options, renewed).await
}

pub(super) async fn set(
    client: &ControlClient,
    output: &Output,
    arguments: SetArguments,
) -> Result<(), CtlError> {
    let SetArguments { half, settings, scope, options } = arguments;
    let half = half.resolve(client, &scope).await?;
    let set = |document: &mut Document| {
        for Setting(key, value) in &settings {
            document.set(key, value.clone());
        }
    };
    change(client, output, &half, &options, set).await
}

pub(super) async fn unset(
    client: &ControlClient,
    output: &Output,
    arguments: UnsetArguments,
) -> Result<(), CtlError> {
    let UnsetArguments { half, keys, scope, options } = arguments;
    let half = half.resolve(client, &scope).await?;
    let unset = |document: &mut Document| {
        for key in &keys {
            document.unset(key);
        }
    };
    change(client, output, &half, &options, unset).await
}

pub(super) async fn rename(
    client: &ControlClient,
    output: &Output,
    arguments: RenameArguments,
) -> Result<(), CtlError> {
    let RenameArguments { half, name, scope, options } = arguments;
    let half = half.resolve(client, &scope).await?;
    change(client, output, &half, &options, |document| document.rename(&name)).await
}

pub(super) async fn get(
    client: &ControlClient,
    output: &Output,
    arguments: GetArguments,
) -> Result<(), CtlError> {
    let GetArguments { half, key, etag, scope } = arguments;
    let half = half.resolve(client, &scope).await?;
    let (detail, mut document) = declared(client, &half).await?;
    if etag {
        let stored = detail.stored.ok_or_else(|| ChangeError::NotStored(half.to_string()))?;
        return output.show(&stored.etag, |etag, _| etag.clone());
    }
    let Some(key) = key else {
        let text = detail.declaration.unwrap_or_default();
        return output.show(&document.to_json(), |_, _| text);
    };
    let value = document.unset(&key).as_ref().map(json);
    let value = value.ok_or(ChangeError::NoKey { half: half.to_string(), key })?;
    output.show(&value, |value, _| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// A half with its declaration.
pub(super) async fn declared(
    client: &ControlClient,
    half: &HalfName,
) -> Result<(HalfDetail, Document), CtlError> {
    let detail: HalfDetail = client.get(&half.path()).await?;
    let text = detail.declaration.as_deref();
    let text = text.ok_or_else(|| ChangeError::NotDeclared(half.to_string()))?;
    let document = Document::parse(text).map_err(ChangeError::Text)?;
    Ok((detail, document))
}

/// Changes a stored half.
async fn change(
    client: &ControlClient,
    output: &Output,
    half: &HalfName,
    options: &ChangeOptions,
    by: impl Fn(&mut Document),
) -> Result<(), CtlError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let (detail, mut document) = declared(client, half).await?;
        by(&mut document);
        match replace(client, output, &detail, document, options).await {
            Err(error)
                if error.has_changed() && options.if_match.is_none() && attempts < ATTEMPTS => {}
            result => return result,
        }
    }
}

/// Stores a half in the place of the one that was read, if that has not changed meanwhile, and shows
/// its state. One with another name keeps its UUID.
pub(super) async fn replace(
    client: &ControlClient,
    output: &Output,
    read: &HalfDetail,
    mut document: Document,
    options: &ChangeOptions,
) -> Result<(), CtlError> {
    let former = &read.half;
    let name = document.name().unwrap_or(&former.name).to_owned();
    let rename = name != former.name;
    let remove = rename.then(|| (former.network.clone(), former.name.clone()));
    if rename {
        document.set("uuid", former.uuid.to_string().into());
    }
    let etag = read.stored.as_ref().map(|stored| stored.etag.clone());
    let request = StoreRequest {
        project: former.project.clone(),
        declarations: Some(document.to_toml()),
        remove: remove.into_iter().collect(),
        rename,
        create: rename,
        if_match: options.if_match.clone().or(etag),
        dry_run: options.store.dry_run,
        ..StoreRequest::default()
    };
    store(client, output, &request).await?;
    let (project, network) = (former.project.clone(), former.network.clone());
    report(client, output, &HalfName { project, network, name }, &options.store).await
}
