//! One entry of an archive, as Go's `archive/tar` gives it.

use super::header::Fields;

/// What kind of thing an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TarKind {
    /// A regular file, sparse and contiguous ones included.
    File,
    /// Another name for the file at the link target.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A global PAX header with a name of its own choosing. What it says is ignored, as containerd and moby ignore it;
    /// but before they do, they remove what stands at its name, or what it names as a whiteout. The usual names,
    /// which nobody has as a file, are passed over.
    GlobalHeader,
    /// A type flag that has no meaning here. Its body is skipped over like that of a file.
    Other(u8),
}

impl TarKind {
    fn of(typeflag: u8) -> Self {
        match typeflag {
            b'0' | b'7' | b'S' => Self::File,
            b'1' => Self::HardLink,
            b'2' => Self::Symlink,
            b'3' => Self::CharDevice,
            b'4' => Self::BlockDevice,
            b'5' => Self::Directory,
            b'6' => Self::Fifo,
            b'g' => Self::GlobalHeader,
            other => Self::Other(other),
        }
    }
}

/// Returns true for the types that have no body, whatever size they state.
pub(super) fn is_header_only(typeflag: u8) -> bool {
    matches!(typeflag, b'1'..=b'6')
}

/// One entry, with what PAX and GNU extensions say of it merged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TarEntry {
    /// The name as it stands: not cleaned, not UTF-8, possibly empty.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: TarKind,
    /// The flag behind the kind. The NUL of V7 archives has become `0`, or `5` where the path ends in a slash.
    pub typeflag: u8,
    /// Where a link points. Other kinds can have one too; it means nothing there.
    pub link_target: Vec<u8>,
    /// Permissions and whatever else the field holds, cut to 32 bits as Go cuts it.
    pub mode: u32,
    /// Owner; negative in archives that say so.
    pub uid: i64,
    /// Group.
    pub gid: i64,
    /// Bytes of the body as it reads, holes included; 0 for kinds that have none.
    pub size_bytes: u64,
    /// The size that the headers state: for kinds without a body it can be anything.
    pub stated_size: i64,
    /// Major device number. Kinds other than devices can state one too.
    pub device_major: i64,
    /// Minor device number.
    pub device_minor: i64,
    /// True if the body has a sparse map, even one without holes.
    pub is_sparse: bool,
    /// Where the entry's own header block starts, behind those of its extensions.
    pub header_offset_bytes: u64,
    /// Where the stored bytes of the body start, behind a sparse map.
    pub body_offset_bytes: u64,
    /// Stored bytes of the body: those of a plain file, or the data of a sparse one without its holes.
    pub body_stored_bytes: u64,
}

impl TarEntry {
    /// Takes an entry from its header alone.
    pub(super) fn from_header(fields: &Fields, header_offset_bytes: u64) -> Self {
        Self {
            path: full_name(fields),
            kind: TarKind::of(fields.typeflag),
            typeflag: fields.typeflag,
            link_target: fields.link.to_vec(),
            mode: low_bits(fields.mode),
            uid: fields.uid,
            gid: fields.gid,
            size_bytes: 0,
            stated_size: fields.size,
            device_major: fields.device_major,
            device_minor: fields.device_minor,
            is_sparse: false,
            header_offset_bytes,
            body_offset_bytes: 0,
            body_stored_bytes: 0,
        }
    }

    /// Gives the flag of archives older than directories its meaning. The path must be final.
    pub(super) fn settle_typeflag(&mut self) {
        if self.typeflag == 0 {
            self.typeflag = if self.path.ends_with(b"/") { b'5' } else { b'0' };
        }
        self.kind = TarKind::of(self.typeflag);
    }
}

/// Joins the two parts of the name.
pub(super) fn full_name(fields: &Fields) -> Vec<u8> {
    if fields.prefix.is_empty() { fields.name.to_vec() } else { [fields.prefix, b"/", fields.name].concat() }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "Go cuts the mode likewise")]
fn low_bits(mode: i64) -> u32 {
    mode as u32
}
