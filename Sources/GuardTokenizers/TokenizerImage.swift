import Glibc

/// A tokenizer as a file that is mapped and used as it lies there: hash tables and all, so that a process starts in
/// milliseconds and processes of one machine share the memory.
///
/// Made by `guardctl tokenizer compile`; `Tokenizer.load` knows an image by its content. It keeps the hash of the file
/// that it was made from, so records name the same tokenizer. The checksum finds accidents, not attackers; what could
/// lead outside of the memory is checked at load besides. Little-endian machines only, as all that guardd runs on.
package enum TokenizerImage {
    /// Raised with every change of the format; images of other versions do not load.
    package static let version: UInt32 = 2
    static let magic = Array("GUARDTOK".utf8)

    static func isRecognised(_ bytes: UnsafeRawBufferPointer) -> Bool { bytes.starts(with: magic) }

    /// The image's content.
    /// - Throws: `.unsupported` for a tokenizer that has parts which the format does not know.
    package static func bytes(of tokenizer: Tokenizer) throws(TokenizerError) -> [UInt8] {
        let stages = tokenizer.stages
        guard case .bytePair(let model) = stages.model else {
            throw TokenizerError(.unsupported, "an image of a model that is not byte-pair encoding")
        }
        var pipeline = ImageWriter()
        try pipeline.write(tokenizer, model)
        var sections: [ImageMemory.Section: [UInt8]] = [.pipeline: pipeline.bytes]
        model.writeSections { sections[$0] = Array($1) }
        var file = [UInt8](repeating: 0, count: ImageMemory.tableEnd)
        for section in ImageMemory.Section.allCases {
            while file.count % ImageMemory.alignment != 0 { file.append(0) }
            let content = sections[section] ?? []
            let entry = ImageMemory.headBytes + section.rawValue * 16
            store(UInt64(file.count), at: entry, &file)
            store(UInt64(content.count), at: entry + 8, &file)
            file += content
        }
        file.replaceSubrange(0..<magic.count, with: magic)
        store(UInt64(version) | UInt64(ImageMemory.Section.allCases.count) << 32, at: 8, &file)
        store(UInt64(file.count), at: 16, &file)
        let sum = file.withUnsafeBytes { checksum(UnsafeRawBufferPointer(rebasing: $0[ImageMemory.headBytes...])) }
        store(sum, at: 24, &file)
        return file
    }

    /// Writes an image; the file appears as a whole or not at all.
    package static func write(_ tokenizer: Tokenizer, to path: String) throws(TokenizerError) {
        let content = try bytes(of: tokenizer)
        let temporary = path + ".\(getpid()).tmp"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw TokenizerError(.unreadable, file: path, String(cString: strerror(errno))) }
        var done = 0
        var isWritten = true
        content.withUnsafeBytes { bytes in
            while done < bytes.count, let base = bytes.baseAddress {
                let put = Glibc.write(descriptor, base + done, bytes.count - done)
                if put < 0 && errno == EINTR { continue }
                if put <= 0 {
                    isWritten = false
                    break
                }
                done += put
            }
        }
        isWritten = fsync(descriptor) == 0 && isWritten
        isWritten = close(descriptor) == 0 && isWritten
        guard isWritten, rename(temporary, path) == 0 else {
            let reason = String(cString: strerror(errno))
            unlink(temporary)
            throw TokenizerError(.unreadable, file: path, "could not be written: \(reason)")
        }
    }

    /// - Parameter name: what errors call the image.
    static func load(_ memory: ImageMemory, name: String) throws(TokenizerError) -> Tokenizer {
        var reader = ImageReader(memory.bytes(.pipeline))
        return try reader.tokenizer(memory, name: name)
    }

    /// Four sums of multiplied words that do not wait for each other, so that the memory's speed is the limit.
    static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        guard let base = bytes.baseAddress else { return 0 }
        var lanes: (UInt64, UInt64, UInt64, UInt64) = (1, 2, 3, 4)
        var at = 0
        func mixed(_ lane: UInt64, _ word: UInt64) -> UInt64 {
            let product = (lane ^ word).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
            return (product.high ^ product.low) &+ word
        }
        while at + 32 <= bytes.count {
            lanes.0 = mixed(lanes.0, base.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            lanes.1 = mixed(lanes.1, base.loadUnaligned(fromByteOffset: at + 8, as: UInt64.self))
            lanes.2 = mixed(lanes.2, base.loadUnaligned(fromByteOffset: at + 16, as: UInt64.self))
            lanes.3 = mixed(lanes.3, base.loadUnaligned(fromByteOffset: at + 24, as: UInt64.self))
            at += 32
        }
        var sum = mixed(mixed(lanes.0, lanes.1), mixed(lanes.2, lanes.3))
        while at < bytes.count {
            sum = mixed(sum, UInt64(bytes[at]) + 1)
            at += 1
        }
        return mixed(sum, UInt64(bytes.count))
    }

    private static func store(_ value: UInt64, at offset: Int, _ bytes: inout [UInt8]) {
        for index in 0..<8 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
    }
}
