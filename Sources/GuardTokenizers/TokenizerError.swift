/// Why a tokenizer file could not be used. Encoding itself never fails.
package struct TokenizerError: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Code: String, Sendable, Hashable {
        /// The file is absent or cannot be read.
        case unreadable
        /// No known format was recognised from the content.
        case unknownFormat
        /// The format was recognised, but the content breaks its rules.
        case malformed
        /// Well-formed, but needs something that is not implemented. Never guessed at: a count would be wrong.
        case unsupported
        /// Larger than any real file of its kind.
        case limitExceeded
    }

    package var code: Code
    /// Path of the file as it was given, or the caller's name for bytes.
    package var file: String
    /// Where in the file: a JSON Pointer, `byte 1234`, or `line 12`; empty for the file as a whole.
    package var place: String
    package var message: String

    package init(_ code: Code, file: String = "", place: String = "", _ message: String) {
        self.code = code
        self.file = file
        self.place = place
        self.message = message
    }

    package var description: String {
        let head = place.isEmpty ? file : "\(file): \(place)"
        return head.isEmpty ? message : "\(head): \(message)"
    }

    func inFile(_ name: String) -> TokenizerError {
        var copy = self
        if copy.file.isEmpty { copy.file = name }
        return copy
    }
}
