<?php
// Makes the site in an empty database, and brings an older database up to this WordPress. For the command line: it
// takes WORDPRESS_TITLE, WORDPRESS_ADMIN_USER, WORDPRESS_ADMIN_EMAIL and WORDPRESS_ADMIN_PASSWORD_FILE.

define('WP_INSTALLING', true);
require '/var/www/html/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';

// Nobody answers at the site's address yet, and nothing else need be asked.
add_filter('pre_http_request', fn() => new WP_Error('offline', 'the site is being set up'));
add_filter('pre_wp_mail', '__return_false');

function say(string $what): void
{
    fwrite(STDERR, "wp-setup: $what\n");
}

if (!is_blog_installed()) {
    say('making the site');
    wp_install(
        wordpress_env('WORDPRESS_TITLE', 'A site'),
        wordpress_env('WORDPRESS_ADMIN_USER', 'admin'),
        wordpress_env('WORDPRESS_ADMIN_EMAIL', 'admin@example.com'),
        true,
        '',
        wordpress_env('WORDPRESS_ADMIN_PASSWORD')
    );
    $wp_rewrite->set_permalink_structure('/%postname%/');
    $wp_rewrite->flush_rules();
} elseif ((int) get_option('db_version') !== (int) $wp_db_version) {
    say('the database moves from ' . get_option('db_version') . " to $wp_db_version");
    wp_upgrade();
}
