<?php
// All of it comes from the container's environment; a secret lies in the file that <NAME>_FILE names.

function wordpress_env(string $name, string $default = ''): string
{
    $file = getenv("{$name}_FILE");
    if ($file) {
        return rtrim(file_get_contents($file), "\r\n");
    }
    return getenv($name) ?: $default;
}

define('DB_NAME', wordpress_env('WORDPRESS_DB_NAME', 'wordpress'));
define('DB_USER', wordpress_env('WORDPRESS_DB_USER', 'wordpress'));
define('DB_PASSWORD', wordpress_env('WORDPRESS_DB_PASSWORD'));
define('DB_HOST', wordpress_env('WORDPRESS_DB_HOST', 'db'));
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
$table_prefix = wordpress_env('WORDPRESS_TABLE_PREFIX', 'wp_');

$domain = wordpress_env('DOMAIN', 'localhost');
define('WP_HOME', "https://$domain");
define('WP_SITEURL', "https://$domain");
// The proxy before it speaks HTTPS with the world and HTTP with this server.
if (($_SERVER['HTTP_X_FORWARDED_PROTO'] ?? '') === 'https') {
    $_SERVER['HTTPS'] = 'on';
}
// A new version is a new image.
define('AUTOMATIC_UPDATER_DISABLED', true);

if (!defined('ABSPATH')) {
    define('ABSPATH', __DIR__ . '/');
}
require_once ABSPATH . 'wp-settings.php';
