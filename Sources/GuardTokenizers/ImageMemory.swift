import Glibc

/// The bytes of a tokenizer image, mapped from its file or copied, and its sections.
///
/// Tables that lie in an image keep a reference to this object, which frees the memory when the last one has gone.
final class ImageMemory: @unchecked Sendable {
    // Unchecked: the memory is not written after `init`.

    /// Order of the sections in the file. New ones go to the end, and `TokenizerImage.version` is raised.
    enum Section: Int, CaseIterable {
        case pipeline, offsets, tokens, packed, long, mergeSlots, mergeFilter, mergeResults, mergePriorities
        case symbolOfByte, joints, wholeness, files
    }

    let base: UnsafeMutableRawPointer
    let count: Int
    private let isMapped: Bool
    private var sections: [(offset: Int, count: Int)] = []

    /// Head: magic (8 bytes), version (4), number of sections (4), size of the file (8), checksum of all that follows
    /// (8), zeros up to `headBytes`; then offset and size of each section.
    static let headBytes = 64
    static let alignment = 64
    static var tableEnd: Int { headBytes + Section.allCases.count * 16 }

    /// Maps a file. Its pages are shared between processes and read on demand; a file that is cut short while it is
    /// mapped ends the process, so images are replaced by renaming (`TokenizerImage.write` does).
    init(path: String) throws(TokenizerError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw TokenizerError(.unreadable, file: path, String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw TokenizerError(.unreadable, file: path, "not a regular file")
        }
        guard status.st_size <= FileBytes.bytesMax else {
            throw TokenizerError(.limitExceeded, file: path, "larger than \(FileBytes.bytesMax) bytes")
        }
        let size = Int(status.st_size)
        guard size > 0 else { throw TokenizerError(.malformed, file: path, "empty") }
        let flags = MAP_PRIVATE | MAP_POPULATE
        guard let memory = mmap(nil, size, PROT_READ, flags, descriptor, 0), memory != MAP_FAILED else {
            throw TokenizerError(.unreadable, file: path, String(cString: strerror(errno)))
        }
        base = memory
        count = size
        isMapped = true
        sections = try readHead()
    }

    init(_ bytes: [UInt8]) throws(TokenizerError) {
        count = bytes.count
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(bytes.count, 1), alignment: Self.alignment)
        bytes.withUnsafeBytes { if let from = $0.baseAddress { memory.copyMemory(from: from, byteCount: bytes.count) } }
        base = memory
        isMapped = false
        sections = try readHead()
    }

    deinit {
        if isMapped { munmap(base, count) } else { base.deallocate() }
    }

    private func readHead() throws(TokenizerError) -> [(offset: Int, count: Int)] {
        guard count >= Self.tableEnd else { throw TokenizerError(
                .malformed, place: "byte \(count)", "tokenizer image cut short: its head has \(Self.tableEnd) bytes") }
        guard TokenizerImage.isRecognised(UnsafeRawBufferPointer(start: base, count: count)) else {
            throw TokenizerError(.unknownFormat, "not a tokenizer image")
        }
        let version = base.load(fromByteOffset: 8, as: UInt32.self)
        guard version == TokenizerImage.version else {
            throw TokenizerError(
                .unsupported, place: "byte 8",
                "tokenizer image of version \(version), this program reads \(TokenizerImage.version): compile it again")
        }
        let size = base.load(fromByteOffset: 16, as: UInt64.self)
        guard size == UInt64(count) else {
            throw TokenizerError(
                .malformed, place: "byte 16", "tokenizer image of \(size) bytes, but the file has \(count)")
        }
        guard base.load(fromByteOffset: 12, as: UInt32.self) == UInt32(Section.allCases.count) else {
            throw TokenizerError(.malformed, place: "byte 12", "wrong number of sections")
        }
        let body = UnsafeRawBufferPointer(start: base + Self.headBytes, count: count - Self.headBytes)
        guard base.load(fromByteOffset: 24, as: UInt64.self) == TokenizerImage.checksum(body) else {
            throw TokenizerError(.malformed, place: "byte 24", "tokenizer image is corrupt: its checksum differs")
        }
        // The checksum does not cover them.
        for at in 32..<Self.headBytes where base.load(fromByteOffset: at, as: UInt8.self) != 0 {
            throw TokenizerError(.malformed, place: "byte \(at)", "tokenizer image is corrupt: not zero")
        }
        var sections: [(offset: Int, count: Int)] = []
        for section in Section.allCases {
            let entry = Self.headBytes + section.rawValue * 16
            let offset = base.load(fromByteOffset: entry, as: UInt64.self)
            let length = base.load(fromByteOffset: entry + 8, as: UInt64.self)
            guard offset % UInt64(Self.alignment) == 0, offset <= UInt64(count), length <= UInt64(count) - offset else {
                throw TokenizerError(.malformed, place: "byte \(entry)", "section outside of the image")
            }
            sections.append((Int(offset), Int(length)))
        }
        return sections
    }

    func bytes(_ section: Section) -> UnsafeRawBufferPointer {
        let (offset, count) = sections[section.rawValue]
        return UnsafeRawBufferPointer(start: base + offset, count: count)
    }

    /// The section as elements of a plain type. Sections are aligned for every such type.
    func elements<Element>(
        _ section: Section, of type: Element.Type
    ) throws(TokenizerError) -> UnsafeMutableBufferPointer<Element> {
        let (offset, count) = sections[section.rawValue]
        guard count % MemoryLayout<Element>.stride == 0 else { throw malformed(section, "section \(section) has a broken size") }
        let elements = (base + offset).assumingMemoryBound(to: type)
        return UnsafeMutableBufferPointer(start: elements, count: count / MemoryLayout<Element>.stride)
    }

    /// A hash table: a power of two of slots.
    func table<Element>(
        _ section: Section, of type: Element.Type
    ) throws(TokenizerError) -> UnsafeMutableBufferPointer<Element> {
        let elements = try elements(section, of: type)
        guard elements.count >= 16, elements.count & (elements.count - 1) == 0 else {
            throw malformed(section, "section \(section) is no table")
        }
        return elements
    }

    /// Where in the image a section begins.
    func origin(_ section: Section) -> Int { sections[section.rawValue].offset }

    func malformed(_ section: Section, _ message: String) -> TokenizerError {
        TokenizerError(.malformed, place: "byte \(origin(section))", "tokenizer image: \(message)")
    }
}
