//! A schedule in a file: what was run, and which choices were made.

use super::scenario::Plan;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const FORMAT: u32 = 1;

/// Everything needed to run one schedule again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    format: u32,
    /// What was run.
    pub plan: Plan,
    /// The images that were loaded: a digest of each file.
    pub images: Vec<(PathBuf, String)>,
    /// How the schedule was found, for people.
    pub found_by: String,
    /// The first line of the report it ended with.
    pub finding: Option<String>,
    /// At each choice, which of the ways was taken.
    pub choices: Vec<u16>,
    /// A digest of everything the scheduler saw.
    #[serde(with = "hexadecimal")]
    pub digest: u64,
}

mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(value: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{value:016x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let text = String::deserialize(from)?;
        u64::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
    }
}

/// FNV-1a of a file.
fn digest_of(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let digest = bytes
        .iter()
        .fold(0xCBF2_9CE4_8422_2325_u64, |digest, byte| {
            (digest ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
    Ok(format!("{digest:016x}"))
}

impl Recording {
    /// Of these choices.
    ///
    /// # Errors
    /// An image cannot be read.
    pub fn new(
        plan: &Plan,
        choices: Vec<u16>,
        digest: u64,
        finding: Option<String>,
        found_by: String,
    ) -> Result<Self, String> {
        let images = plan.images.iter();
        Ok(Self {
            format: FORMAT,
            plan: plan.clone(),
            images: images
                .map(|path| Ok((path.clone(), digest_of(path)?)))
                .collect::<Result<_, String>>()?,
            found_by,
            finding,
            choices,
            digest,
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        std::fs::write(path, text + "\n")
            .map_err(|error| format!("{} cannot be written: {error}", path.display()))
    }

    /// Reads one, and sees whether its images are those that were recorded.
    ///
    /// # Errors
    /// It cannot be read, is no recording, or an image has changed.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        let recording: Self = serde_json::from_str(&text)
            .map_err(|error| format!("{} is no recorded schedule: {error}", path.display()))?;
        if recording.format != FORMAT {
            return Err(format!(
                "{} has format {}; this drydock reads format {FORMAT}: record it again",
                path.display(),
                recording.format
            ));
        }
        for (image, digest) in &recording.images {
            if digest_of(image)? != *digest {
                return Err(format!(
                    "{} is not the image that was recorded: explore again, or build the recorded one",
                    image.display()
                ));
            }
        }
        Ok(recording)
    }
}
