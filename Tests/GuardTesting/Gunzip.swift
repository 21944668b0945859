import CZLIB
package import Foundation

extension TestData {
    /// Content of a shared file, gunzipped where only the `.gz` is there.
    package static func sharedBytes(_ path: String) throws -> [UInt8] {
        let plain = try sharedFile(path)
        if FileManager.default.fileExists(atPath: plain.path) { return [UInt8](try Data(contentsOf: plain)) }
        return try gunzip([UInt8](Data(contentsOf: try sharedFile(path + ".gz"))))
    }

    /// A folder of shared files as a folder of its own, all of them unpacked. The caller removes it.
    package static func unpackedFolder(_ path: String) throws -> URL {
        let source = try sharedFile(path)
        let target = FileManager.default.temporaryDirectory.appending(path: "guard-unpacked-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
        for name in try FileManager.default.contentsOfDirectory(atPath: source.path) {
            let plain = name.hasSuffix(".gz") ? String(name.dropLast(3)) : name
            try Data(try sharedBytes(path + "/" + plain)).write(to: target.appending(path: plain))
        }
        return target
    }

    package static func gunzip(_ bytes: [UInt8]) throws -> [UInt8] {
        var stream = z_stream()
        guard inflateInit2_(&stream, 16 + MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            throw Missing(description: "inflateInit2")
        }
        defer { inflateEnd(&stream) }
        var input = bytes
        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        return try input.withUnsafeMutableBufferPointer { input in
            stream.next_in = input.baseAddress
            stream.avail_in = UInt32(input.count)
            while true {
                let status = chunk.withUnsafeMutableBufferPointer { chunk in
                    stream.next_out = chunk.baseAddress
                    stream.avail_out = UInt32(chunk.count)
                    return inflate(&stream, Z_NO_FLUSH)
                }
                guard status == Z_OK || status == Z_STREAM_END else { throw Missing(description: "inflate \(status)") }
                output += chunk[..<(chunk.count - Int(stream.avail_out))]
                if status == Z_STREAM_END { return output }
            }
        }
    }
}
